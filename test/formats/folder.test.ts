/** @file Folders: on disk, on a web server, chosen files; what is missing and names that would leave the folder. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { folderFromFiles, folderFromUrl } from "../../src/formats/folder.ts";
import type { Folder } from "../../src/formats/folder.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { expectRejection } from "./expect-error.ts";

const content: Readonly<Record<string, string>> = { "config.json": "{}", "vocab.txt": "[PAD]\nC\n" };
const inner = "sub folder/a+b,c.txt";

let path: string;
let server: Server;
let address: string;
const requests: string[] = [];

beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), "folder-"));
  await mkdir(join(path, "sub folder"));
  for (const [name, text] of Object.entries(content)) await writeFile(join(path, name), text);
  await writeFile(join(path, inner), "inner");

  server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? "").replace(/^\/(model|spa|nohead|broken)\//, ""));
    const kind = (request.url ?? "").split("/")[1];
    requests.push(`${request.method} ${request.url}`);
    const text = name === inner ? "inner" : content[name];
    if (kind === "broken") response.writeHead(503).end("later");
    else if (kind === "nohead" && request.method === "HEAD") response.writeHead(405).end();
    else if (text !== undefined) response.writeHead(200, { "content-type": "application/octet-stream" }).end(text);
    else if (kind === "spa")
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html></html>");
    else response.writeHead(404, { "content-type": "text/plain" }).end("no");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(path, { recursive: true });
});

function files(top: string): File[] {
  return [...Object.entries(content), [inner, "inner"] as const].map(([name, text]) => {
    const file = new File([text], name.split("/").at(-1) as string);
    Object.defineProperty(file, "webkitRelativePath", { value: top + name });
    return file;
  });
}

const folders: readonly [string, () => Folder, readonly string[]][] = [
  ["a path", () => folderFromPath(path), ["config.json", "vocab.txt"]],
  ["a URL", () => folderFromUrl(`${address}/model`), ["config.json", "vocab.txt"]],
  [
    "a server that answers pages of HTML",
    () => folderFromUrl(new URL(`${address}/spa/`)),
    ["config.json", "vocab.txt"],
  ],
  ["a server without HEAD", () => folderFromUrl(`${address}/nohead//`), ["config.json", "vocab.txt"]],
  ["chosen files", () => folderFromFiles(files("bert/")), ["config.json", inner, "vocab.txt"]],
];

describe.each(folders)("the folder of %s", (_, make, listed) => {
  it("lists, knows and reads what is there", async () => {
    const folder = make();
    expect(await folder.list()).toEqual(listed);
    expect([await folder.has("config.json"), await folder.has("model.safetensors"), await folder.has(inner)]).toEqual([
      true,
      false,
      true,
    ]);
    expect(new TextDecoder().decode(await folder.read("vocab.txt"))).toBe(content["vocab.txt"]);
    expect(new TextDecoder().decode(await folder.read(inner))).toBe("inner");
  });

  it("says what is there when a file is missing", async () => {
    await expectRejection(
      make().read("weights.bin"),
      "NOT_FOUND",
      /no file "weights\.bin"\. There: config\.json, .*vocab\.txt\./,
    );
  });
});

describe("a name that would leave the folder", () => {
  it.each(["../config.json", "/etc/passwd", "a//b", "./config.json", "..", "", "a\\..\\b", "C:x", "a\0b"])(
    "%j is refused",
    async (name) => {
      await expectRejection(folderFromPath(path).read(name), "BAD_FILE", /not the name of a file inside/);
      const asked = requests.length;
      await expectRejection(folderFromUrl(address).read(name), "BAD_FILE", /not the name of a file inside/);
      expect(requests).toHaveLength(asked);
    },
  );
});

describe("places that are not there", () => {
  it("names what stands beside a missing folder", async () => {
    const missing = folderFromPath(join(path, "nowhere"));
    await expectRejection(
      missing.read("config.json"),
      "NOT_FOUND",
      /nowhere is not a folder\. Beside it: .*config\.json/,
    );
    expect(await missing.has("config.json")).toBe(false);
  });

  it("reports servers that fail or are not there", async () => {
    await expectRejection(
      folderFromUrl(`${address}/broken`).read("config.json"),
      "NOT_FOUND",
      /cannot be read: HTTP 503/,
    );
    const offline = (): Promise<Response> => Promise.reject(new TypeError("fetch failed"));
    const error = await expectRejection(
      folderFromUrl("http://x/", offline).has("config.json"),
      "NOT_FOUND",
      /cannot be reached/,
    );
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  it("refuses two chosen files of one name, and reads plain names", async () => {
    const plain = [new File(["{}"], "config.json")];
    expect(await folderFromFiles(plain).list()).toEqual(["config.json"]);
    expect(() => folderFromFiles([...plain, ...plain])).toThrow(/Two of the chosen files are called "config\.json"/);
  });
});
