// Unpacks the browser, its libraries and its font from the installed package into TMPDIR.

import { inflate } from "@sparticuz/chromium";
import { fileURLToPath } from "node:url";

const archives = new URL("../bin/", import.meta.resolve("@sparticuz/chromium"));
for (const name of ["chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"]) {
  await inflate(fileURLToPath(new URL(name, archives)));
}
