/** @file The browser face in a real browser: the built package, a model from a URL, dense and routed, against the Node face. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { relativeError } from "../model/truth.ts";
import { tinyModel } from "../tiny-models.ts";
import { openBrowser } from "./chromium.ts";
import type { Browser } from "./chromium.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILD = fileURLToPath(new URL("../../node_modules/.cache/adapters-webgpu-browser-test", import.meta.url));
const IDS = [
  [1, 2, 3, 4, 5, 6, 7, 8, 9],
  [4, 2],
];

const PAGE = `<!doctype html><meta charset="utf-8"><script type="module">
const post = (body) => fetch("/result", { method: "POST", body: JSON.stringify(body) });
try {
  const { coda, loadModel, openGpu } = await import("/dist/index.js");
  const gpu = await openGpu();
  const model = await loadModel(gpu, "/model/");
  await model.addAdapter("a", { config: { layer_adapter: true, reduction_factor: 4, init_weights: "bert" } });
  model.setActive("a");
  const dense = await model.run({ ids: ${JSON.stringify(IDS)} });
  model.setRouting(coda({ reduction: 3, attention: "k-to-all" }));
  const routed = await model.run({ ids: ${JSON.stringify(IDS)} });
  await model.dispose();
  const left = gpu.memory.bytes;
  await gpu.dispose();
  post({ info: gpu.info.description || gpu.info.vendor, dense: [...dense.hidden.data], routed: [...routed.hidden.data], selected: [...routed.routing[0].selected], left });
} catch (error) { post({ error: String(error && error.stack || error), code: error && error.code }); }
</script>`;

let server: Server | undefined;
let browser: Browser | undefined;
let posted: Promise<Record<string, unknown>>;
const tiny = tinyModel("bert");

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  arrived: (body: Record<string, unknown>) => void,
): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const send = (type: string, body: string | Uint8Array): void =>
    void response.writeHead(200, { "content-type": type }).end(body);
  if (pathname === "/result") {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    arrived(JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>);
    send("text/plain", "ok");
  } else if (pathname === "/") send("text/html", PAGE);
  else if (pathname.startsWith("/dist/") && pathname.endsWith(".js"))
    send("text/javascript", readFileSync(`${BUILD}${pathname.slice("/dist".length)}`));
  else if (pathname.startsWith("/model/") && (await tiny.folder.has(pathname.slice("/model/".length)))) {
    send("application/octet-stream", await tiny.folder.read(pathname.slice("/model/".length)));
  } else response.writeHead(404).end();
}

beforeAll(async () => {
  execFileSync(
    process.execPath,
    [`${ROOT}node_modules/typescript/bin/tsc`, "-p", "tsconfig.build.json", "--outDir", BUILD],
    { cwd: ROOT },
  );
  let arrived: (body: Record<string, unknown>) => void = () => undefined;
  posted = new Promise((resolve) => (arrived = resolve));
  const web = createServer(
    (request, response) => void serve(request, response, arrived).catch(() => response.writeHead(500).end()),
  );
  server = web;
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  browser = await openBrowser(`http://127.0.0.1:${(web.address() as AddressInfo).port}/`);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

test("a page loads a model from a URL and runs it dense and routed, like Node", async () => {
  const late = new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error(`no answer from the page\n${browser?.log()}`)), 90_000).unref(),
  );
  const page = await Promise.race([posted, late]);
  expect(page.error, String(page.error)).toBeUndefined();
  const model = await loadFolder(await sharedGpu(), tiny.folder);
  await model.addAdapter("a", { config: { layer_adapter: true, reduction_factor: 4, init_weights: "bert" } });
  model.setActive("a");
  const dense = await model.run({ ids: IDS });
  model.setRouting(coda({ reduction: 3, attention: "k-to-all" }));
  const routed = await model.run({ ids: IDS });
  await model.dispose();
  expect(relativeError(page.dense as number[], (dense.hidden as { data: Float32Array }).data)).toBeLessThan(2e-5);
  expect(relativeError(page.routed as number[], (routed.hidden as { data: Float32Array }).data)).toBeLessThan(2e-5);
  expect(page.selected).toEqual([...(routed.routing?.[0]?.selected ?? [])]);
  expect(page.left).toBe(0);
}, 120_000);
