/** @file A headless browser with WebGPU out of the npm package that also carries the software adapter: no system package. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { brotliDecompressSync } from "node:zlib";
import { untar } from "../../src/node/untar.ts";

/** A browser on one page. */
export interface Browser {
  readonly log: () => string;
  /** Where --remote-debugging-pipe reads commands and writes answers. */
  readonly pipes: { readonly commands: Writable; readonly answers: Readable };
  close(): Promise<void>;
}

async function unpack(folder: string): Promise<string> {
  const bin = join(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")), "..", "bin");
  const read = async (name: string): Promise<Buffer> => brotliDecompressSync(await readFile(join(bin, name)));
  await mkdir(join(folder, "lib"), { recursive: true });
  for (const [name, bytes] of untar(await read("al2023.tar.br"))) await writeFile(join(folder, "lib", name), bytes);
  for (const [name, bytes] of untar(await read("swiftshader.tar.br"))) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, "chromium"), await read("chromium.br"));
  await chmod(join(folder, "chromium"), 0o755);
  return join(folder, "chromium");
}

/**
 * Opens a page. Everything the browser writes lies in a folder that close() removes.
 * @param more flags besides those that WebGPU needs
 */
export async function openBrowser(url: string, more: readonly string[] = []): Promise<Browser> {
  const folder = join(tmpdir(), `adapters-webgpu-browser-${process.pid}`);
  const executable = await unpack(folder);
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--no-first-run",
    "--enable-logging=stderr",
    `--user-data-dir=${join(folder, "profile")}`,
  ];
  const env = { ...process.env, LD_LIBRARY_PATH: `${join(folder, "lib")}:${process.env.LD_LIBRARY_PATH ?? ""}` };
  const child: ChildProcess = spawn(executable, [...flags, ...more, url], {
    env,
    // Files 3 and 4 are for --remote-debugging-pipe; without that flag nobody uses them.
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
  });
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-20_000)));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    log: () => log,
    pipes: { commands: child.stdio[3] as Writable, answers: child.stdio[4] as Readable },
    close: async () => {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}
