/** @file Parameters in packs: one buffer for many, contents kept, bound at their offsets by plans. */

import { afterEach, describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import { PACK_ELEMENTS, Parameters } from "../../src/graph/parameters.ts";
import type { Pack } from "../../src/graph/parameters.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const lengths = [3, 64, 65, 1, 128];
const data = lengths.map((length, index) => normal(index + 1, length));
const names = lengths.map((_, index) => `p${index}`);
const WIDE = 1 << 20;

let parameters: Parameters | null = null;
afterEach(() => {
  parameters?.dispose();
  parameters = null;
});

async function filled(): Promise<{ gpu: Gpu; parameters: Parameters }> {
  const gpu = await sharedGpu();
  parameters = new Parameters(gpu);
  for (const [index, name] of names.entries())
    parameters.set(name, { shape: [lengths[index] as number], element: "f32" }, data[index]);
  return { gpu, parameters };
}

async function read(gpu: Gpu, from: Parameters, name: string): Promise<Float32Array> {
  const [bytes] = await gpu.read([from.slice(name)]);
  return new Float32Array(bytes as ArrayBuffer);
}

async function expectContents(gpu: Gpu, from: Parameters): Promise<void> {
  for (const [index, name] of names.entries()) expect(await read(gpu, from, name)).toEqual(data[index]);
}

describe("a pack", () => {
  test("keeps contents, begins parts at aligned places, and holds all of them in one buffer", async () => {
    const { gpu, parameters: own } = await filled();
    const before = gpu.memory;
    const [pack, ...others] = own.pack("trained", names, WIDE) as [Pack];
    expect(others).toEqual([]);
    expect(pack.places.map(({ at }) => at)).toEqual([0, 64, 128, 256, 320]);
    expect(pack.elements).toBe(448);
    expect(pack.places.every(({ at }) => at % PACK_ELEMENTS === 0)).toBe(true);
    expect(gpu.memory.buffers).toBe(before.buffers - names.length + 1);
    await expectContents(gpu, own);
    const whole = await read(gpu, own, pack.name);
    pack.places.forEach(({ at, elements }, index) => expect(whole.slice(at, at + elements)).toEqual(data[index]));
    const moved = data.map((values) => values.map((value) => value + 1));
    own.write("p2", moved[2] as Float32Array);
    expect((await read(gpu, own, pack.name)).slice(128, 193)).toEqual(moved[2]);
    expect(await read(gpu, own, "p1")).toEqual(data[1]);
  });

  test("is read by a plan at its offset", async () => {
    const { gpu, parameters: own } = await filled();
    own.pack("trained", names, WIDE);
    const b = new GraphBuilder();
    const y = b.op(elementwise, { a: b.parameter("p4", [128]), b: b.parameter("p3", [1]) }, { operation: "add" }).y;
    const outputs = await evaluate(gpu, b.finish({ y: y as NonNullable<typeof y> }), {}, {}, { parameters: own });
    const [p4, p3] = [data[4] as Float32Array, data[3] as Float32Array];
    expect(outputs.y?.data).toEqual(p4.map((value) => value + (p3[0] as number)));
  });

  test("is as many buffers as the device's bindings ask for", async () => {
    const { gpu, parameters: own } = await filled();
    const packs = own.pack("trained", names, 4 * 192);
    expect(packs.map(({ places }) => places.map(({ name }) => name))).toEqual([["p0", "p1"], ["p2", "p3"], ["p4"]]);
    await expectContents(gpu, own);
    expect(() => own.pack("again", ["p0"], WIDE)).toThrow("packed already");
  });

  test("gives its parts back", async () => {
    const { gpu, parameters: own } = await filled();
    const before = gpu.memory;
    for (const pack of own.pack("trained", names, 4 * 192)) own.unpack(pack);
    expect(gpu.memory).toEqual(before);
    await expectContents(gpu, own);
  });

  test("leaves a part alone that was made anew", async () => {
    const { gpu, parameters: own } = await filled();
    const packs = own.pack("trained", names, WIDE);
    own.delete("p1");
    own.set("p1", { shape: [64], element: "f32" }, data[1]);
    for (const pack of packs) own.unpack(pack);
    await expectContents(gpu, own);
  });

  test("refuses what no binding holds, and what is not f32", async () => {
    const { parameters: own } = await filled();
    expect(() => own.pack("trained", ["p4"], 256)).toThrow(/p4 has 512 bytes, one binding of this device holds 256/);
    own.set("halves", { shape: [4], element: "f16" }, new Uint32Array(2));
    expect(() => own.pack("trained", ["halves"], WIDE)).toThrow("halves is f16, not f32");
  });
});
