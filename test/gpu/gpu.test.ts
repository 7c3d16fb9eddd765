/** @file Buffers, pipelines, bind groups, readback, timers and stored errors of a real device. */

import { beforeAll, describe, expect, it } from "vitest";
import { EngineError, type ErrorCode } from "../../src/errors.ts";
import { STORAGE_USAGE, type Gpu } from "../../src/gpu/gpu.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { floats, kernel, launch, scaleKernel, slowKernel, upload, whole } from "./kernels-for-tests.ts";

let gpu: Gpu;
beforeAll(async () => {
  gpu = await sharedGpu();
});

/** The EngineError that an action throws. */
async function failure(action: () => unknown): Promise<EngineError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

async function expectFailure(action: () => unknown, code: ErrorCode, text: RegExp): Promise<EngineError> {
  const error = await failure(action);
  expect(`${error.code}: ${error.message}`).toMatch(text);
  expect(error.code).toBe(code);
  return error;
}

describe("buffers", () => {
  it.each([
    [0, 16],
    [1, 16],
    [16, 16],
    [17, 20],
    [4096, 4096],
    [4099, 4100],
  ])("of %i bytes are counted as %i", (asked, counted) => {
    const before = gpu.memory;
    const buffer = gpu.createBuffer({ label: "counted", size: asked, usage: STORAGE_USAGE });
    expect(buffer.size).toBe(counted);
    expect(gpu.memory).toEqual({ buffers: before.buffers + 1, bytes: before.bytes + counted });
    gpu.destroyBuffer(buffer);
    expect(gpu.memory).toEqual(before);
  });

  it("leave nothing behind after a thousand allocations", () => {
    const before = gpu.memory;
    for (let i = 0; i < 1000; i += 1)
      gpu.destroyBuffer(gpu.createBuffer({ label: "leak", size: 4 * i, usage: STORAGE_USAGE }));
    expect(gpu.memory).toEqual(before);
    expect(() => gpu.check()).not.toThrow();
  });

  it("are freed once", async () => {
    const buffer = gpu.createBuffer({ label: "twice", size: 16, usage: STORAGE_USAGE });
    gpu.destroyBuffer(buffer);
    await expectFailure(() => gpu.destroyBuffer(buffer), "VALIDATION", /twice was freed before/);
  });

  it("above the limit name the limit, the value and the remedy, and allocate nothing", async () => {
    const before = gpu.memory;
    const most = gpu.device.limits.maxBufferSize;
    const error = await expectFailure(
      () => gpu.createBuffer({ label: "huge", size: most + 1, usage: STORAGE_USAGE }),
      "LIMIT",
      new RegExp(`huge needs ${most + 4} bytes; maxBufferSize of this device is ${most}`),
    );
    expect(error.fix).not.toBe("");
    expect(gpu.memory).toEqual(before);
    await gpu.done();
  });

  it.each([NaN, -1, 1.5, Infinity, 2 ** 60])("of %d bytes are refused", async (size) => {
    await failure(() => gpu.createBuffer({ label: "odd", size, usage: STORAGE_USAGE }));
  });

  it.each([
    ["odd offset", 2, 4],
    ["odd length", 0, 3],
    ["past the end", 12, 8],
    ["before the start", -4, 4],
  ])("refuse a write: %s", async (_, offset, length) => {
    const buffer = gpu.createBuffer({ label: "target", size: 16, usage: STORAGE_USAGE });
    await expectFailure(() => gpu.write(buffer, offset, new Uint8Array(length)), "VALIDATION", /a write of/);
    gpu.destroyBuffer(buffer);
  });
});

describe("pipelines", () => {
  it("are one per text and layout, also for concurrent calls", async () => {
    const created = gpu.counters.pipelines;
    const [a, b] = await Promise.all([
      gpu.pipeline(scaleKernel(3)),
      gpu.pipeline({ ...scaleKernel(3), label: "other" }),
    ]);
    expect(b).toBe(a);
    expect(await gpu.pipeline(scaleKernel(3))).toBe(a);
    expect(gpu.counters.pipelines).toBe(created + 1);
    expect(await gpu.pipeline(scaleKernel(4))).not.toBe(a);
    expect(gpu.counters.pipelines).toBe(created + 2);
  });

  it("with other constants compute other things", async () => {
    const x = upload(gpu, "x", Float32Array.of(1, 2, 3, 4));
    const y = upload(gpu, "y", new Float32Array(4));
    for (const factor of [2, 5]) {
      await launch(gpu, scaleKernel(factor), [x, y]);
      expect([...(await floats(gpu, y))]).toEqual([1, 2, 3, 4].map((v) => v * factor));
    }
  });

  it("report line, column and source of every error", async () => {
    const source = kernel(
      "broken",
      "fn helper() -> f32 {\n  return nothing;\n}\n@compute @workgroup_size(1) fn main() {}\n",
    );
    const error = await expectFailure(
      () => gpu.pipeline(source),
      "COMPILE",
      /broken\.wgsl:2:10: unresolved value 'nothing'/,
    );
    expect(error.where).toBe("broken.wgsl:2:10");
    expect(error.message).toContain("2 |   return nothing;\n  |          ^");
    await failure(() => gpu.pipeline(source));
    await gpu.done();
  });

  it("do not mix up the errors of concurrent compilations", async () => {
    const texts = ["fn main() { aaa(); }", "@compute @workgroup_size(1) fn main() {}", "fn main() { bbb(); }"];
    const [a, good, b] = await Promise.allSettled(texts.map((code, i) => gpu.pipeline(kernel(`k${i}`, code))));
    expect(good?.status).toBe("fulfilled");
    expect(String((a as PromiseRejectedResult).reason)).toMatch(/k0.*aaa/);
    expect(String((b as PromiseRejectedResult).reason)).toMatch(/k2.*bbb/);
  });

  it("without an entry point main are refused", async () => {
    await expectFailure(
      () => gpu.pipeline(kernel("nameless", "@compute @workgroup_size(1) fn other() {}")),
      "COMPILE",
      /nameless.*main/,
    );
  });

  it("say which limit a workgroup or a list of bindings exceeds", async () => {
    const { maxComputeInvocationsPerWorkgroup: invocations, maxStorageBuffersPerShaderStage: buffers } =
      gpu.device.limits;
    const wide = kernel("wide", `const SIDE: u32 = ${invocations}u;\n@compute @workgroup_size(SIDE, 2) fn main() {}`);
    await expectFailure(
      () => gpu.pipeline(wide),
      "LIMIT",
      new RegExp(`wide has ${2 * invocations}.*maxComputeInvocationsPerWorkgroup is ${invocations}`),
    );
    const bindings = Array.from(
      { length: buffers + 1 },
      (_, i) => `@group(0) @binding(${i}) var<storage, read> b${i}: array<f32>;`,
    );
    const many = kernel("many", `${bindings.join("\n")}\n@compute @workgroup_size(1) fn main() {}`);
    await expectFailure(
      () => gpu.pipeline(many),
      "LIMIT",
      new RegExp(`many binds ${buffers + 1} storage buffers; maxStorageBuffersPerShaderStage is ${buffers}`),
    );
  });
});

describe("bind groups", () => {
  it("count, and refuse what does not fit before WebGPU does", async () => {
    const pipeline = await gpu.pipeline(scaleKernel(2));
    const buffer = upload(gpu, "short", new Float32Array(128));
    const { bindGroups } = gpu.counters;
    gpu.bindGroup(
      pipeline,
      [
        { buffer, offset: 256, size: 4 },
        { buffer, offset: 0, size: 256 },
      ],
      "fine",
    );
    expect(gpu.counters.bindGroups).toBe(bindGroups + 1);
    await expectFailure(
      () => gpu.bindGroup(pipeline, [whole(buffer)], "few"),
      "VALIDATION",
      /few: 1 slices for the 2 bindings of scale/,
    );
    await expectFailure(
      () => gpu.bindGroup(pipeline, [whole(buffer), { buffer, offset: 4, size: 4 }], "skew"),
      "VALIDATION",
      /skew\.y starts at byte 4; minStorageBufferOffsetAlignment is/,
    );
    await expectFailure(
      () => gpu.bindGroup(pipeline, [{ buffer, offset: 0, size: 516 }, whole(buffer)], "long"),
      "VALIDATION",
      /long\.x binds bytes 0 to 516/,
    );
    const most = gpu.device.limits.maxStorageBufferBindingSize;
    await expectFailure(
      () => gpu.bindGroup(pipeline, [{ buffer, offset: 0, size: most + 4 }, whole(buffer)], "vast"),
      "LIMIT",
      new RegExp(`vast\\.x binds ${most + 4} bytes; maxStorageBufferBindingSize of this device is ${most}`),
    );
    gpu.destroyBuffer(buffer);
    await gpu.done();
  });
});

describe("reading back", () => {
  it("gives each slice its bytes, odd sizes and none included", async () => {
    const data = Float32Array.from({ length: 300 }, (_, i) => i + 0.5);
    const buffer = upload(gpu, "numbers", data);
    const bytes = new Uint8Array(data.buffer);
    const ranges = [
      [0, 4],
      [400, 7],
      [0, 0],
      [1196, 4],
      [0, 1200],
      [8, 1],
    ] as const;
    const parts = await gpu.read(ranges.map(([offset, size]) => ({ buffer, offset, size })));
    expect(parts.map((part) => [...new Uint8Array(part)])).toEqual(
      ranges.map(([offset, size]) => [...bytes.subarray(offset, offset + size)]),
    );
    expect(await gpu.read([])).toEqual([]);
    gpu.destroyBuffer(buffer);
  });

  it("lets concurrent reads take turns and allocates nothing when warm", async () => {
    const buffers = [11, 22, 33].map((value) => upload(gpu, `v${value}`, new Float32Array(1000).fill(value)));
    await gpu.read(buffers.map(whole));
    const { buffers: made } = gpu.counters;
    const results = await Promise.all(buffers.map((buffer) => floats(gpu, buffer)));
    expect(results.map((result) => [result.length, result[0], result[999]])).toEqual([
      [1000, 11, 11],
      [1000, 22, 22],
      [1000, 33, 33],
    ]);
    expect(gpu.counters.buffers).toBe(made);
    for (const buffer of buffers) gpu.destroyBuffer(buffer);
  });

  it("refuses ranges outside of the buffer and goes on", async () => {
    const buffer = upload(gpu, "small", Float32Array.of(7));
    await expectFailure(() => gpu.read([{ buffer, offset: 2, size: 4 }]), "VALIDATION", /not a multiple of 4/);
    await expectFailure(
      () => gpu.read([{ buffer, offset: 16, size: 4 }]),
      "VALIDATION",
      /bytes 16 to 20 of a buffer of 16/,
    );
    expect((await floats(gpu, buffer))[0]).toBe(7);
    gpu.destroyBuffer(buffer);
  });
});

describe("errors outside of calls", () => {
  it.each(["done", "read"] as const)("are thrown once by %s, then all is well", async (how) => {
    const buffer = upload(gpu, "victim", new Float32Array(4));
    gpu.device.queue.writeBuffer(buffer, 12, new Float32Array(8));
    const wait = (): Promise<unknown> => (how === "done" ? gpu.done() : gpu.read([whole(buffer)]));
    await expectFailure(wait, "VALIDATION", /Buffer "victim"/);
    await wait();
    gpu.destroyBuffer(buffer);
  });
});

describe("timers", () => {
  it("measure passes, longer ones as longer, without rounding", async (context) => {
    const timer = gpu.createTimer(1);
    if (timer === null) return context.skip("this device has no timestamps");
    const x = upload(gpu, "x", new Float32Array(64));
    const measure = async (steps: number): Promise<number> => {
      await launch(gpu, slowKernel(steps), [x], timer);
      return (await timer.read(1))[0] as number;
    };
    const short = [await measure(1000), await measure(1001), await measure(1002)];
    const long = await measure(2_000_000);
    expect(long).toBeGreaterThan(5 * Math.min(...short));
    // Quantised timestamps are multiples of 65,536 ns; four honest ones are not (chance 1 in 2^64).
    if (gpu.info.clock === "gpu") expect([...short, long].some((ns) => ns % 65_536 !== 0)).toBe(true);
    const before = gpu.memory.buffers;
    timer.destroy();
    expect(gpu.memory.buffers).toBe(before - 1);
    gpu.destroyBuffer(x);
  });

  it.each([0, 2049, 1.5])("of capacity %d are refused", async (capacity) => {
    if (gpu.info.clock === "wall") return;
    await expectFailure(() => gpu.createTimer(capacity), "LIMIT", /a query set holds 1 to 2048 pairs/);
  });
});
