// Judges requests under bucket policies with @cloud-copilot/iam-simulate.
//
// stdin:  [{ requests: [{ principal: string|null, action, resource, account, context, identity: bool }],
//            documents: [{ policy: object|null, restricted: bool }] }]
// stdout: [[[a letter for each request] for each document]]: A allowed, N no statement allows it, D a statement denies it,
//         R allowed but for RestrictPublicBuckets
//
// `restricted` is the effective RestrictPublicBuckets. `identity` gives the principal all of S3 in its own account, so
// that the bucket policy is what decides. A principal of null is an unsigned request. Whatever the evaluator does not take, or
// would leave out of account, ends the process with a message.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const tools = createRequire(new URL("../../.tools/judge/package.json", import.meta.url));
const {
  allowedContextKeysForRequest,
  anonymousPrincipal,
  isConditionKeyArray,
  runSimulation,
  runUnsafeSimulation,
  typeForContextKey,
} = tools("@cloud-copilot/iam-simulate");
const { createValidatedPolicy, validateResourcePolicy } = tools("@cloud-copilot/iam-policy");

// By its specification, localeCompare makes a new collator for each call that has options, which is a third of the
// evaluator's time. One for each set of options compares alike.
const collators = new Map();
const { localeCompare } = String.prototype;
String.prototype.localeCompare = function (other, locales, options) {
  if (locales !== undefined || options === undefined) {
    return localeCompare.call(this, other, locales, options);
  }
  const key = JSON.stringify(options);
  if (!collators.has(key)) {
    collators.set(key, new Intl.Collator(undefined, options));
  }
  return collators.get(key).compare(this, other);
};

const LETTERS = { Allowed: "A", ImplicitlyDenied: "N", ExplicitlyDenied: "D" };
const everything = {
  name: "s3",
  policy: { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: ["s3:*", "s3express:*"], Resource: "*" }] },
};

// The evaluator's own look at a request and a policy takes several times as long as its verdict. So each request is looked at
// once, and each policy once, with one of the requests; and that verdict must be the one given without looking.
async function looked(request) {
  const [service, action] = request.action.split(":");
  const known = await allowedContextKeysForRequest(service, action, request.resource, false);
  const context = {};
  for (const [key, value] of Object.entries(request.context)) {
    const name = key.toLowerCase();
    const family = name.slice(0, name.indexOf("/") + 1);
    if (!known.includes(name) && !(family && known.some((other) => other.startsWith(family)))) {
      throw new Error(`${request.action} knows no ${key}`);
    }
    context[key] = isConditionKeyArray(await typeForContextKey(name)) ? [value].flat() : value;
  }
  return {
    request: {
      principal: request.principal ?? anonymousPrincipal,
      action: request.action,
      resource: { resource: request.resource, accountId: request.account },
      contextVariables: context,
    },
    identityPolicies: request.identity ? [everything] : [],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  };
}

function validated(policy) {
  const valid = createValidatedPolicy(policy, validateResourcePolicy, { name: "bucket policy" });
  if (valid.errors.length > 0) {
    throw new Error(`${JSON.stringify(valid.errors)}\nof ${JSON.stringify(policy)}`);
  }
  return valid;
}

function simulation(request, policy, restricted) {
  return { ...request, resourcePolicy: policy, additionalSettings: { s3: { blockPublicAccess: restricted } } };
}

function letter(request, policy, restricted) {
  const open = LETTERS[runUnsafeSimulation(simulation(request, policy, false), {})];
  const shut = open === "A" && restricted && runUnsafeSimulation(simulation(request, policy, true), {}) !== "Allowed";
  return shut ? "R" : open;
}

async function check(request, policy, restricted, letter) {
  const result = await runSimulation(simulation(request, policy, restricted), {});
  const ignored = result.result?.ignoredContextKeys.length ?? 0;
  const expected = letter === "R" ? "D" : letter;
  if (result.resultType !== "single" || ignored > 0 || LETTERS[result.overallResult] !== expected) {
    throw new Error(`${letter} and ${JSON.stringify(result)}\nof ${JSON.stringify(request)}`);
  }
}

const answers = [];
for (const { requests, documents } of JSON.parse(await text(process.stdin))) {
  const ready = [];
  for (const request of requests) {
    ready.push(await looked(request));
  }
  const verdicts = [];
  for (const [index, { policy, restricted }] of documents.entries()) {
    const valid = policy ? validated(policy) : undefined;
    const letters = ready.map((request) => letter(request, valid, restricted));
    const one = index % ready.length;
    await check(ready[one], valid, restricted, letters[one]);
    verdicts.push(letters);
  }
  answers.push(verdicts);
}
process.stdout.write(JSON.stringify(answers));
