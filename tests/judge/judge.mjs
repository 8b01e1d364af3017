// Judges requests under bucket policies with @cloud-copilot/iam-simulate.
//
// stdin:  [{ policy: object|null, restricted: bool, requests: [{ principal: string|null, action, resource, account,
//            context, identity: bool }] }]
// stdout: [[{ verdict, ignored: [context keys] } or { error }]]
//
// `restricted` is the effective RestrictPublicBuckets. `identity` gives the principal all of S3 in its own account, so that
// the bucket policy is what decides. A principal of null is an unsigned request.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const tools = createRequire(new URL("../../.tools/judge/package.json", import.meta.url));
const { anonymousPrincipal, runSimulation } = tools("@cloud-copilot/iam-simulate");

const everything = {
  name: "s3",
  policy: { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: ["s3:*", "s3express:*"], Resource: "*" }] },
};

async function judge(policy, restricted, request) {
  const result = await runSimulation(
    {
      request: {
        principal: request.principal ?? anonymousPrincipal,
        action: request.action,
        resource: { resource: request.resource, accountId: request.account },
        contextVariables: request.context,
      },
      identityPolicies: request.identity ? [everything] : [],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: policy ?? undefined,
      additionalSettings: { s3: { blockPublicAccess: restricted } },
    },
    {},
  );
  return result.resultType === "single"
    ? { verdict: result.overallResult, ignored: result.result.ignoredContextKeys }
    : { error: result.errors ?? result.resultType };
}

const answers = [];
for (const { policy, restricted, requests } of JSON.parse(await text(process.stdin))) {
  const verdicts = [];
  for (const request of requests) {
    verdicts.push(await judge(policy, restricted, request));
  }
  answers.push(verdicts);
}
process.stdout.write(JSON.stringify(answers));
