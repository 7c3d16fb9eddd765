/**
 * @file Every kernel in every variant compiles: Dawn's null backend checks each shader and computes nothing, so this
 * covers features that no adapter at hand has.
 */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CaseTable } from "../src/cases/case.ts";
import { caseTables } from "../src/cases/index.ts";
import { caseGraph } from "../src/cases/evaluate.ts";
import type { CaseGraph } from "../src/cases/evaluate.ts";
import { callOf, schedule, sizeLookup } from "../src/graph/schedule.ts";
import { createGpu } from "../src/gpu/gpu.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { specialize } from "../src/gpu/kernel-source.ts";
import type { KernelSource } from "../src/gpu/kernel-source.ts";
import { kernels, libs } from "../src/kernels.gen.ts";
import { createInstance } from "../src/node/dawn.ts";
import { openNullDevice } from "../src/node/null-device.ts";
import { opsByStem } from "../src/ops/index.ts";
import type { DeviceTraits, Op } from "../src/ops/op.ts";

/** A device with no features and WebGPU's default limits, as an application may hand us. */
const portable: DeviceTraits = {
  software: false,
  subgroups: false,
  subgroupMinSize: 0,
  subgroupMaxSize: 0,
  shaderF16: false,
  maxWorkgroupInvocations: 256,
  maxWorkgroupStorageBytes: 16384,
  maxStorageBuffers: 8,
};

const rich = {
  subgroups: true,
  shaderF16: true,
  maxWorkgroupInvocations: 1024,
  maxWorkgroupStorageBytes: 49152,
  maxStorageBuffers: 16,
};

/** Devices that variants are chosen for: subgroups of every size there is, software and hardware, much and little. */
const devices: Readonly<Record<string, DeviceTraits>> = {
  portable,
  "portable software": { ...portable, software: true },
  SwiftShader: { ...rich, software: true, subgroupMinSize: 4, subgroupMaxSize: 4, shaderF16: false },
  lavapipe: { ...rich, software: true, subgroupMinSize: 8, subgroupMaxSize: 8 },
  "subgroups of 8 to 16": { ...rich, software: false, subgroupMinSize: 8, subgroupMaxSize: 16 },
  "subgroups of 32": { ...rich, software: false, subgroupMinSize: 32, subgroupMaxSize: 32 },
  "subgroups of 64": { ...rich, software: false, subgroupMinSize: 64, subgroupMaxSize: 64 },
  "subgroups of any size": { ...rich, software: false, subgroupMinSize: 4, subgroupMaxSize: 128 },
};

interface Specimen {
  readonly where: string;
  readonly source: KernelSource;
}

let full: Gpu;
let plain: Gpu;
// Dawn crashes when an instance is collected while a device of it compiles.
let instance: GPU | undefined;

beforeAll(async () => {
  full = await openNullDevice();
  instance = await createInstance(["backend=null"]);
  const adapter = await instance.requestAdapter();
  if (adapter === null) throw new Error("this build of Dawn has no null backend");
  plain = await createGpu({ device: await adapter.requestDevice(), adapter, owned: true, software: true });
});

afterAll(async () => {
  await full.dispose();
  await plain.dispose();
  instance = undefined;
});

/** Compiles all and reports every one that does not, with what uses it. */
async function expectCompiled(gpu: Gpu, specimens: readonly Specimen[]): Promise<void> {
  const faults: string[] = [];
  for (const { where, source } of specimens) {
    await gpu.pipeline(source).catch((error: unknown) => faults.push(`${where}: ${String(error)}`));
  }
  expect(faults.join("\n\n")).toBe("");
}

/** All launches of all variants that the op of a case offers a device; none where the case asks for what the device lacks. */
function specimensOf(stem: string, name: string, { graph, sizes }: CaseGraph, traits: DeviceTraits): Specimen[] {
  const node = graph.nodes.find(({ kind }) => kind === "op");
  if (node === undefined) throw new Error(`case ${stem} ${name} is not an op`);
  const op = opsByStem[stem] as Op;
  const call = callOf(node);
  const variants = op.variants(call, traits, sizeLookup(sizes));
  expect(variants.length > 0, `whether ${stem} has a variant for ${name}`).toBe(
    (op.lacking?.(call, traits) ?? null) === null,
  );
  return variants.flatMap((variant) =>
    schedule(graph, traits, sizes, () => variant)
      .flatMap(({ launches }) => launches)
      .map(({ source }) => ({ where: `${stem} ${name}, variant ${variant}, kernel ${source.label}`, source })),
  );
}

/** Every distinct text that the cases of an op launch on the chosen devices, in all offered variants. */
function specimensOfTable({ stem, cases }: CaseTable, chosen: readonly DeviceTraits[]): Specimen[] {
  const distinct = new Map<string, Specimen>();
  for (const opCase of cases) {
    const built = caseGraph(opsByStem[stem] as Op, opCase);
    for (const specimen of chosen.flatMap((traits) => specimensOf(stem, opCase.name, built, traits))) {
      if (!distinct.has(specimen.source.code)) distinct.set(specimen.source.code, specimen);
    }
  }
  return [...distinct.values()];
}

describe("with its defaults", () => {
  test.each(Object.keys(kernels))("%s", async (stem) => {
    await expectCompiled(full, [{ where: stem, source: specialize({ kernels, libs }, stem) }]);
  });
});

describe("for every case, device and variant", () => {
  const usedLibraries = new Set<string>();

  test.each([...caseTables])("$stem", async (table) => {
    const specimens = specimensOfTable(table, Object.values(devices));
    await expectCompiled(full, specimens);
    const used = new Set(specimens.map(({ source }) => source.label));
    const own = Object.keys(kernels).filter((name) => name === table.stem || name.startsWith(`${table.stem}.`));
    expect(
      own.filter((name) => !used.has(name)),
      "kernels that no case reaches",
    ).toEqual([]);
    for (const [name, text] of Object.entries(libs)) {
      if (specimens.some(({ source }) => source.code.includes(text))) usedLibraries.add(name);
    }
  });

  test("every library is used by some case", () => {
    expect(Object.keys(libs).filter((name) => !usedLibraries.has(name))).toEqual([]);
  });

  // A device checks its own limits: 8 storage buffers, 16 KiB of workgroup memory, 256 invocations.
  test.each([...caseTables])("$stem on a device with no features and the default limits", async (table) => {
    await expectCompiled(plain, specimensOfTable(table, [portable, { ...portable, software: true }]));
  });
});

describe("the null device", () => {
  test("refuses what does not fit a plain device, so that the tests above can fail", async () => {
    const code = (size: number): string =>
      `var<workgroup> a: array<f32, ${size}>; @compute @workgroup_size(256) fn main(@builtin(local_invocation_index) i: u32) { a[i] = 1.0; }`;
    const source = (text: string): KernelSource => ({ label: "probe", code: text, bindings: [], uniform: [] });
    await plain.pipeline(source(code(4096)));
    await expect(plain.pipeline(source(code(4097)))).rejects.toMatchObject({ name: "EngineError" });
    await expect(plain.pipeline(source(code(4096).replace("(256)", "(257)")))).rejects.toMatchObject({
      name: "EngineError",
    });
    await expect(plain.pipeline(source(`enable f16; ${code(256)}`))).rejects.toMatchObject({ name: "EngineError" });
    await expect(full.pipeline(source("fn main() {"))).rejects.toMatchObject({ code: "COMPILE" });
  });
});

describe("kernels/README.md", () => {
  const readme = readFileSync(new URL("../kernels/README.md", import.meta.url), "utf8");
  const rows = [...readme.matchAll(/^\| `([^`]+)\.wgsl` \|/gm)].map(([, name]) => name as string);

  test("has one row for every kernel and every library", () => {
    const files = [...Object.keys(kernels), ...Object.keys(libs).map((name) => `lib/${name}`)];
    expect([...rows].sort()).toEqual(files.sort());
  });
});
