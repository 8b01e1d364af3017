// Opens a page in Chromium, does what it is told, and tells what happened. It knows nothing of the page.
//
// stdin:  { page: path, scripts: bool, steps: [step] }, where a step is one of
//           { press: key }            as a person at the keyboard does, such as Tab or Shift+Tab
//           { type: text }
//           { media: {...} }          colorScheme, media, ... of Playwright's emulateMedia
//           { size: {width, height} }
//           { ask: expression }       JavaScript; its value is an answer
//           { audit: true }           what axe-core has against the page is an answer
//           { picture: path }         of the whole page, as PNG
// stdout: { answers: [value], console: [text], requests: [url], dialogs: [text], pages: number }
//
// The browser is offline. A step that fails, or does not end, ends the process with a message. Without scripts there is no audit.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath, pathToFileURL } from "node:url";

const installed = new URL("../../.tools/browser/", import.meta.url);
const tools = createRequire(new URL("package.json", installed));
const { chromium } = tools("playwright-core");
const { page: path, scripts, steps } = JSON.parse(await text(process.stdin));

// A home of its own, and no environment, so that nothing of the machine's own browsers and fonts takes part.
const home = await mkdtemp(join(tmpdir(), "portcullis-browser-"));
const file = (name) => fileURLToPath(new URL(name, installed));
const late = setTimeout(() => {
  console.error(`${path}: no end after two minutes`);
  process.exit(1);
}, 120_000);
const browser = await chromium.launch({
  executablePath: file("chromium/chromium"),
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic"],
  env: {
    HOME: home,
    XDG_CACHE_HOME: home,
    LD_LIBRARY_PATH: file("chromium/al2023/lib"),
    FONTCONFIG_FILE: fileURLToPath(new URL("fonts.conf", import.meta.url)),
  },
});
try {
  const context = await browser.newContext({ offline: true, javaScriptEnabled: scripts });
  const told = { answers: [], console: [], requests: [], dialogs: [], pages: 0 };
  context.on("page", () => (told.pages += 1));
  context.on("console", (message) => told.console.push(`${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => told.console.push(`uncaught: ${error.error().message}`));
  context.on("request", (request) => told.requests.push(request.url()));
  context.on("dialog", (dialog) => {
    told.dialogs.push(dialog.message());
    return dialog.dismiss();
  });
  const page = await context.newPage();
  await page.goto(pathToFileURL(path).href);

  // Not Playwright's own evaluate: it is made of eval, which the page's policy rightly refuses.
  const session = await context.newCDPSession(page);
  async function ask(expression) {
    const answer = await session.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (answer.exceptionDetails) {
      throw new Error(`${expression.slice(0, 200)}: ${answer.exceptionDetails.exception?.description}`);
    }
    return answer.result.value ?? null;
  }
  async function audit() {
    await ask(await readFile(file("node_modules/axe-core/axe.min.js"), "utf8"));
    const violations = "axe.run().then((found) => found.violations.flatMap((rule) => "
      + "rule.nodes.map((node) => `${rule.id}: ${node.failureSummary} ${node.html.slice(0, 200)}`)))";
    return ask(violations);
  }

  const step = {
    press: (key) => page.keyboard.press(key),
    type: (text) => page.keyboard.type(text),
    media: (media) => page.emulateMedia(media),
    size: (size) => page.setViewportSize(size),
    ask: async (expression) => told.answers.push(await ask(expression)),
    audit: async () => told.answers.push(await audit()),
    picture: (path) => page.screenshot({ path, fullPage: true }),
  };
  for (const [name, value] of steps.flatMap(Object.entries)) {
    await step[name](value);
  }
  process.stdout.write(JSON.stringify(told));
} finally {
  clearTimeout(late);
  await browser.close();
  await rm(home, { recursive: true, force: true });
}
