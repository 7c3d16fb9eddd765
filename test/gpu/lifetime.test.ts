/** @file Device loss, disposal, injected devices, two devices, and a process that ends by itself. */

import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { createGpu, STORAGE_USAGE, type Gpu } from "../../src/gpu/gpu.ts";
import { openNullDevice } from "../../src/node/null-device.ts";
import { openGpu } from "../../src/node/open.ts";
import { plainDevice } from "../gpu-fixture.ts";
import { floats, launch, scaleKernel, upload, whole } from "./kernels-for-tests.ts";

const open = (): Promise<Gpu> => openGpu({ adapter: "auto", quiet: true });

async function twice(gpu: Gpu, value: number): Promise<number | undefined> {
  const x = upload(gpu, "x", new Float32Array(4).fill(value));
  const y = upload(gpu, "y", new Float32Array(4));
  await launch(gpu, scaleKernel(2), [x, y]);
  return (await floats(gpu, y))[3];
}

describe("loss of the device", () => {
  it.each([
    ["read", (gpu: Gpu, buffer: GPUBuffer) => gpu.read([whole(buffer)])],
    ["done", (gpu: Gpu) => gpu.done()],
    ["pipeline", (gpu: Gpu) => gpu.pipeline(scaleKernel(7))],
  ])("is thrown at the next await: %s", async (_, wait) => {
    const gpu = await open();
    const buffer = gpu.createBuffer({ label: "b", size: 64, usage: STORAGE_USAGE });
    gpu.device.destroy();
    await expect(wait(gpu, buffer)).rejects.toMatchObject({
      code: "DEVICE_LOST",
      fix: expect.stringContaining("openGpu") as string,
    });
    await expect(gpu.done()).rejects.toMatchObject({ code: "DEVICE_LOST" });
    expect(() => gpu.check()).toThrow("is lost");
    await gpu.dispose();
    expect(gpu.memory).toEqual({ buffers: 0, bytes: 0 });
  });

  it("reaches a read that was already waiting", async () => {
    const gpu = await open();
    const buffer = gpu.createBuffer({ label: "b", size: 64, usage: STORAGE_USAGE });
    const reading = gpu.read([whole(buffer)]);
    gpu.device.destroy();
    await expect(reading).rejects.toMatchObject({ code: "DEVICE_LOST" });
    await gpu.dispose();
  });
});

describe("dispose", () => {
  it("returns every byte, may be repeated, and refuses later use", async () => {
    const gpu = await open();
    expect(await twice(gpu, 21)).toBe(42);
    gpu.createTimer(4);
    expect(gpu.memory.bytes).toBeGreaterThan(0);
    await gpu.dispose();
    await gpu.dispose();
    expect(gpu.memory).toEqual({ buffers: 0, bytes: 0 });
    await expect(gpu.done()).rejects.toMatchObject({ code: "DISPOSED" });
    await expect(gpu.pipeline(scaleKernel(2))).rejects.toMatchObject({ code: "DISPOSED" });
    expect(() => gpu.createBuffer({ label: "late", size: 4, usage: STORAGE_USAGE })).toThrow("disposed");
  });

  it("ends a read that is under way with DISPOSED", async () => {
    const gpu = await open();
    const buffer = upload(gpu, "b", new Float32Array(4));
    const reading = gpu.read([whole(buffer)]);
    const outcome = reading.catch((error: unknown) => error);
    await gpu.dispose();
    expect(await outcome).toMatchObject({ code: "DISPOSED" });
  });

  it("leaves other devices of the process alone", async () => {
    const [a, b] = await Promise.all([open(), open()]);
    expect(await Promise.all([twice(a, 1), twice(b, 2)])).toEqual([2, 4]);
    await a.dispose();
    expect(await twice(b, 5)).toBe(10);
    await b.dispose();
  });
});

describe("an injected device", () => {
  it("has honest traits, computes, and is not destroyed", async () => {
    const device = await plainDevice();
    const gpu = await openGpu({ device });
    expect(gpu.traits).toMatchObject({
      subgroups: false,
      subgroupMinSize: 0,
      subgroupMaxSize: 0,
      shaderF16: false,
      maxWorkgroupInvocations: 256,
      maxWorkgroupStorageBytes: 16_384,
      maxStorageBuffers: 8,
    });
    expect(gpu.info.clock).toBe("wall");
    expect(gpu.info.missing.map(({ name }) => name)).toContain("subgroups");
    expect(gpu.info.missing.every(({ reason }) => reason.length > 0)).toBe(true);
    expect(gpu.createTimer(1)).toBeNull();
    expect(await twice(gpu, 4)).toBe(8);
    await gpu.dispose();
    expect(gpu.memory.bytes).toBe(0);
    const again = await createGpu({ device, owned: false });
    expect(await twice(again, 6)).toBe(12);
    await again.dispose();
    device.destroy();
  });
});

describe("the null backend", () => {
  it("compiles, with every feature, and never passes for a GPU", async () => {
    const gpu = await openNullDevice();
    expect(gpu.info.features).toEqual(expect.arrayContaining(["shader-f16", "subgroups", "subgroup-size-control"]));
    await gpu.pipeline(scaleKernel(2));
    await expect(openGpu({ device: gpu.device })).rejects.toMatchObject({
      code: "NO_ADAPTER",
      message: expect.stringContaining("null backend") as string,
    });
    await gpu.dispose();
    const bare = await openNullDevice([]);
    expect(bare.traits.shaderF16).toBe(false);
    await bare.dispose();
  });
});

describe("a process", () => {
  const script = (end: string): string => `
    import { openGpu } from ${JSON.stringify(new URL("../../src/node/open.ts", import.meta.url).href)};
    const gpu = await openGpu();
    const buffer = gpu.createBuffer({ label: "b", size: 64, usage: 0x84 });
    await gpu.read([{ buffer, offset: 0, size: 64 }]);
    ${end}
    console.log(gpu.info.software ? "software" : "hardware");`;

  it.each([
    ["disposed", "await gpu.dispose();"],
    ["not disposed", ""],
  ])("ends by itself with its device %s, and announces a software adapter once", (_, end) => {
    const args = ["--import", "tsx", "--input-type=module", "-e", script(end)];
    const child = spawnSync(process.execPath, args, {
      encoding: "utf8",
      timeout: 30_000,
      cwd: new URL("../..", import.meta.url),
    });
    expect({ status: child.status, signal: child.signal }).toEqual({ status: 0, signal: null });
    const lines = child.stderr.split("\n").filter((line) => line !== "");
    if (child.stdout.trim() === "software")
      expect(lines).toEqual([expect.stringContaining("no GPU found, using the software adapter")]);
    else expect(lines).toEqual([]);
  });
});
