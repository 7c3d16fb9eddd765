/** @file Which adapter is opened, what is said when there is none, and how the software driver gets onto the disk. */

import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { openGpu as openInBrowser } from "../../src/gpu/open.ts";
import { openGpu, requestAdapter } from "../../src/node/open.ts";
import { softwareDriver } from "../../src/node/swiftshader.ts";
import { driversChosenByUser, systemHasDrivers } from "../../src/node/vulkan.ts";
import { untar } from "../../src/node/untar.ts";
import { floats, launch, scaleKernel, upload } from "./kernels-for-tests.ts";

const root = new URL("../..", import.meta.url);
const scratch = mkdtempSync(join(tmpdir(), "open-test-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const driver = await softwareDriver();

/** Runs a module in a Node of its own; the module sees `openGpu` and prints JSON. */
function script(body: string): string[] {
  const url = (path: string): string => JSON.stringify(new URL(path, root).href);
  const imports = `import { openGpu } from ${url("src/node/open.ts")}; import { softwareDriver } from ${url("src/node/swiftshader.ts")};`;
  return ["--import", "tsx", "--input-type=module", "-e", `${imports}\n${body}`];
}

const PROBE = `
  const report = async (adapter) => openGpu({ adapter, quiet: true }).then((gpu) => gpu.info.description, (e) => e.code + ": " + e.message + " | " + e.fix);
  console.log(JSON.stringify({ auto: await report("auto"), hardware: await report("hardware"), software: await report("software"), env: process.env.VK_ICD_FILENAMES ?? null }));`;

function probe(env: Record<string, string>): Record<string, string> {
  const child = spawnSync(process.execPath, script(PROBE), {
    encoding: "utf8",
    cwd: root,
    env: { ...process.env, ...env },
    timeout: 30_000,
  });
  expect(child.status, child.stderr).toBe(0);
  return JSON.parse(child.stdout) as Record<string, string>;
}

describe("the choice of an adapter", () => {
  it("auto is hardware where there is some, else software", async () => {
    const auto = await openGpu({ quiet: true });
    const hardware = await openGpu({ adapter: "hardware" }).catch(
      (error: unknown) => error as { code: string; fix: string },
    );
    if ("info" in hardware) {
      expect(auto.info.software).toBe(false);
      await hardware.dispose();
    } else {
      expect(hardware).toMatchObject({ code: "NO_ADAPTER", fix: expect.stringContaining('adapter: "auto"') as string });
      expect(auto.info.software).toBe(true);
    }
    await auto.dispose();
  });

  it.skipIf(driver === null)("software computes, and leaves the environment as it was", async () => {
    const before = { ...process.env };
    const gpu = await openGpu({ adapter: "software" });
    expect(gpu.info.software).toBe(true);
    const x = upload(gpu, "x", Float32Array.of(1, 2, 3, 4));
    const y = upload(gpu, "y", new Float32Array(4));
    await launch(gpu, scaleKernel(2), [x, y]);
    expect([...(await floats(gpu, y))]).toEqual([2, 4, 6, 8]);
    await gpu.dispose();
    expect({ ...process.env }).toEqual(before);
  });

  it("concurrent openings do not disturb one another", async () => {
    const results = await Promise.allSettled([
      openGpu({ adapter: "software" }),
      openGpu({ adapter: "hardware" }),
      openGpu({ quiet: true }),
    ]);
    for (const result of results) {
      if (result.status === "fulfilled") await result.value.dispose();
      else expect(result.reason).toMatchObject({ code: "NO_ADAPTER" });
    }
    expect(results[2].status).toBe("fulfilled");
  });

  it.skipIf(driver === null)("a driver that the user names is the only one", () => {
    const named = probe({ VK_ICD_FILENAMES: driver?.manifest ?? "" });
    expect(named["auto"]).toContain("SwiftShader");
    expect(named["hardware"]).toMatch(/^NO_ADAPTER: no hardware/);
    expect(named["env"]).toBe(driver?.manifest);
  });

  it.skipIf(systemHasDrivers() || driversChosenByUser())("without the software package, the fix names it", () => {
    // Named imports of built-in modules follow the patched function, so the child sees no such package.
    const bare = `
      import { syncBuiltinESMExports } from "node:module";
      import fs from "node:fs";
      const exists = fs.existsSync;
      fs.existsSync = (path) => !String(path).includes("sparticuz") && exists(path);
      syncBuiltinESMExports();
      ${PROBE}`;
    const child = spawnSync(process.execPath, script(bare), { encoding: "utf8", cwd: root, timeout: 30_000 });
    expect(child.status, child.stderr).toBe(0);
    const said = JSON.parse(child.stdout) as Record<string, string>;
    expect(said["software"]).toMatch(
      /^NO_ADAPTER: no software adapter was found \| npm install --save-dev @sparticuz\/chromium/,
    );
    expect(said["auto"]).toMatch(/^NO_ADAPTER: neither .*install the GPU's Vulkan driver, or npm install/);
  });

  it("without the package webgpu, the fix names it", () => {
    const hook =
      "export function resolve(name, context, next) { if (name === 'webgpu') throw new Error('hidden'); return next(name, context); }";
    const hidden = `import { register } from "node:module"; register(${JSON.stringify(`data:text/javascript,${hook}`)}); ${PROBE}`;
    const child = spawnSync(process.execPath, script(hidden), { encoding: "utf8", cwd: root, timeout: 30_000 });
    expect(child.status, child.stderr).toBe(0);
    expect((JSON.parse(child.stdout) as Record<string, string>)["auto"]).toMatch(
      /^MISSING_PACKAGE: .*"webgpu".* \| npm install "webgpu@>=0\.6\.2 <0\.7"/,
    );
  });

  it("offers the adapter for a device of one's own", async () => {
    const adapter = await requestAdapter("auto");
    const device = await adapter.requestDevice();
    expect(device.limits.maxStorageBuffersPerShaderStage).toBe(8);
    device.destroy();
  });
});

describe("the browser's openGpu", () => {
  it("without WebGPU points Node users to the Node face", async () => {
    if ("gpu" in (globalThis.navigator ?? {})) return;
    await expect(openInBrowser()).rejects.toMatchObject({
      code: "NO_ADAPTER",
      fix: expect.stringContaining("adapters-webgpu/node") as string,
    });
  });

  it("takes a GPU object, and tells kinds of adapters apart", async () => {
    const adapter = await requestAdapter("auto");
    const software = adapter.info.isFallbackAdapter;
    const webgpu = { requestAdapter: async () => adapter } as unknown as GPU;
    await expect(openInBrowser({ gpu: webgpu, adapter: software ? "hardware" : "software" })).rejects.toMatchObject({
      code: "NO_ADAPTER",
    });
    const gpu = await openInBrowser({ gpu: webgpu, adapter: software ? "software" : "hardware" });
    expect(gpu.info.software).toBe(software);
    // Nothing is known about a browser's clock, so it is not called exact.
    if (adapter.features.has("timestamp-query")) expect(gpu.info.clock).toBe("gpu-quantised");
    await gpu.dispose();
  });

  it("says so when there is no adapter at all", async () => {
    const webgpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(openInBrowser({ gpu: webgpu })).rejects.toMatchObject({
      code: "NO_ADAPTER",
      message: "there is no WebGPU adapter",
    });
  });
});

describe("the software driver", () => {
  it.skipIf(driver === null)("is unpacked once and whole, also by four processes at the same time", async () => {
    const env = { ...process.env, XDG_CACHE_HOME: scratch };
    const runs = Array.from({ length: 4 }, () =>
      promisify(execFile)(process.execPath, script("console.log(JSON.stringify(await softwareDriver()))"), {
        cwd: root,
        env,
      }),
    );
    const manifests = (await Promise.all(runs)).map(
      ({ stdout }) => (JSON.parse(stdout) as { manifest: string }).manifest,
    );
    expect(new Set(manifests).size).toBe(1);
    expect(manifests[0]).toContain(scratch);
    expect(existsSync(manifests[0] as string)).toBe(true);
    expect(readdirSync(join(scratch, "adapters-webgpu"))).toHaveLength(1);
  });

  it.skipIf(driver === null)("falls back to the temporary folder where the cache is no folder", () => {
    const blocked = join(scratch, "blocked");
    writeFileSync(blocked, "");
    const env = { ...process.env, XDG_CACHE_HOME: blocked, TMPDIR: scratch };
    const child = spawnSync(process.execPath, script("console.log((await softwareDriver()).manifest)"), {
      encoding: "utf8",
      cwd: root,
      env,
    });
    expect(child.stdout, child.stderr).toMatch(new RegExp(`^${scratch}/adapters-webgpu-`));
  });

  it("comes from an archive that is checked", () => {
    const archive = new Uint8Array(2048);
    const put = (text: string, at: number): void => archive.set(new TextEncoder().encode(text), at);
    put("folder/file.txt", 0);
    put("00000000003\0", 124);
    put("0", 156);
    put("abc", 512);
    expect([...untar(archive)].map(([name, data]) => [name, new TextDecoder().decode(data)])).toEqual([
      ["file.txt", "abc"],
    ]);
    expect(() => untar(archive.subarray(0, 513))).toThrow("truncated");
    put("-0000000777\0", 124);
    expect(() => untar(archive)).toThrow("truncated or damaged");
    put("zzzzzzzzzzz\0", 124);
    expect(() => untar(archive)).toThrow("truncated or damaged");
    expect(untar(new Uint8Array(1024)).size).toBe(0);
  });
});
