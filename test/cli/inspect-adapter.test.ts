/** @file `inspect adapter`: what a folder holds, what it costs, and what does not fit. */

import { existsSync, readdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { dataPath } from "../data.ts";
import { writeTinyAdapter, writeTinyFusion, writeTinyHead, writeTinyPeft } from "./adapter-fixture.ts";
import { commandLine, tiny, useFolder, writeTinyModel } from "./fixture.ts";

const folder = useFolder();

interface Found {
  readonly fits: boolean | null;
  readonly methods: string[];
  readonly presets: string[];
  readonly sites: { readonly groups: { layers: number[]; sites: string[] }[]; readonly embedding: string[] } | null;
  readonly parameters: number;
  readonly bytes: { readonly disk: number; readonly gpu: number | null };
  readonly full: { readonly name: string; readonly parameters: number; readonly bytes: number } | null;
  readonly cost: {
    readonly flopsPerToken: number;
    readonly from: string;
    readonly pass: { readonly rows: number; readonly with: { readonly launches: number } } | null;
  };
  readonly heads: { readonly type: string; readonly labels: number }[];
  readonly fusions: { readonly adapters: string[] }[];
  readonly notes: string[];
  readonly error?: { readonly code: string; readonly problems: string[] };
}

async function inspect(...args: string[]): Promise<{ code: number; found: Found; err: string }> {
  const { code, out, err } = await commandLine(["inspect", "adapter", ...args, "--json"]);
  return { code, err, found: (out === "" ? {} : JSON.parse(out)) as Found };
}

const { width, layers } = tiny;
/** Of a bottleneck with the library's default: width / 16. */
const bottleneck = 1;
const layerParameters = 2 * width * bottleneck + width + bottleneck;

beforeAll(async () => {
  await writeTinyModel(folder.file("host"));
  await writeTinyAdapter(folder.file("plain"), "seq_bn");
  await writeTinyHead(folder.file("plain"), "classification", 4);
  await mkdir(folder.file("plain/fused"));
  await writeTinyFusion(folder.file("plain/fused"), ["x", "y"]);
  await writeTinyAdapter(folder.file("all/one"), "lora");
  await writeTinyFusion(folder.file("fusion"), ["x", "y"]);
  await writeTinyAdapter(folder.file("wide"), "seq_bn", { shape: { width: 32 } });
  await writeTinyPeft(folder.file("peft"));
  await writeTinyAdapter(folder.file("mam"), "unipelt");
});

describe("without a host", () => {
  test("methods, sites, sizes, heads and fusions come from the folder", async () => {
    const { code, found } = await inspect(folder.file("plain"));
    expect(code).toBe(0);
    expect(found).toMatchObject({
      fits: null,
      presets: ["seq_bn", "pfeiffer"],
      sites: { groups: [{ layers: [0, 1, 2], sites: ["ffn"] }], embedding: [] },
      parameters: layers * layerParameters,
      full: null,
      cost: { flopsPerToken: 2 * layers * layerParameters, from: "2 x parameters", pass: null },
      heads: [{ type: "classification", labels: 4 }],
      fusions: [{ adapters: ["x", "y"] }],
      notes: [],
    });
    expect(found.methods).toEqual([expect.stringContaining(`${width} → ${bottleneck} → ${width}, relu`)]);
    expect(found.bytes.gpu).toBe(4 * layers * layerParameters);
    expect(found.bytes.disk).toBeGreaterThan(4 * layers * layerParameters);
  });

  test("a union has a line per method", async () => {
    const { found } = await inspect(folder.file("mam"));
    expect(found.methods.map((method) => method.split(/[ ,]/)[0])).toEqual(["prefix", "bottleneck", "LoRA"]);
    expect(found.presets).toEqual(["unipelt"]);
    expect(found.sites?.groups).toHaveLength(1);
    expect(found.sites?.groups[0]?.sites.sort()).toEqual(["ffn", "prefix", "query", "value"]);
  });

  test("as text", async () => {
    const { code, out } = await commandLine(["inspect", "adapter", folder.file("plain")]);
    expect(code).toBe(0);
    for (const line of [/^sites +layers 0–2: ffn$/m, /^fits +not checked/m, /^head +classification, 4 labels/m])
      expect(out).toMatch(line);
  });
});

describe("on a host", () => {
  test("the cost is counted in launches, and the full model is the host", async () => {
    const { code, found } = await inspect(folder.file("plain"), "--host", folder.file("host"));
    expect(code).toBe(0);
    expect(found).toMatchObject({ fits: true, cost: { from: "launches", pass: { rows: tiny.positions / 2 } } });
    // Two products, and a few operations per element of x and of the hidden row.
    const products = 4 * layers * width * bottleneck;
    expect(found.cost.flopsPerToken).toBeGreaterThanOrEqual(products);
    expect(found.cost.flopsPerToken).toBeLessThan(products + 20 * layers * (width + bottleneck));
    expect(found.bytes.gpu).toBe(4 * layers * layerParameters);
    expect(found.full?.parameters).toBeGreaterThan(layers * (4 * width * width + 2 * width * tiny.ffn));
    expect(found.full?.bytes).toBe(4 * (found.full?.parameters as number));
  });

  test("PEFT folders too", async () => {
    const { code, found } = await inspect(folder.file("peft"), "--host", folder.file("host"));
    expect(code).toBe(0);
    expect(found).toMatchObject({ fits: true, methods: ["LoRA on query, value, rank 2, (PEFT)"] });
    expect(found.parameters).toBe(layers * 2 * 2 * 2 * width);
    expect(found.cost.flopsPerToken).toBeGreaterThan(0);
  });

  test("what does not fit is listed whole, with code 2", async () => {
    const { code, err, found } = await inspect(folder.file("wide"), "--host", folder.file("host"));
    expect({ code, fits: found.fits, error: found.error?.code }).toEqual({
      code: 2,
      fits: false,
      error: "BAD_WEIGHTS",
    });
    // The width, and every tensor that has it: down, up and the bias of up in each layer.
    expect(found.error?.problems).toHaveLength(1 + 3 * layers);
    for (const problem of found.error?.problems ?? []) expect(err).toContain(problem);
  });
});

describe("bad input ends with code 2", () => {
  test.each([
    [[], /inspect adapter needs the folder/],
    [["no/such"], /no\/such is not a folder/],
    [["FUSION"], /but a fusion\n.*\n?fix: see: adapters-webgpu inspect fusion/],
    [["ALL"], /but adapters in .*one/],
    [["HOST"], /has no file "adapter_config.json"/],
    [["PLAIN", "--host", "PLAIN"], /config.json/],
    [["PLAIN", "--host", "HOST", "--rows", "99"], /at most 24/],
    [["PLAIN", "--rows", "x"], /--rows is "x"/],
  ])("%j", async (args, message) => {
    const names = new Set(["fusion", "all", "host", "plain"]);
    const words = args.map((word) => (names.has(word.toLowerCase()) ? folder.file(word.toLowerCase()) : word));
    const { code, err, out } = await commandLine(["inspect", "adapter", ...words]);
    expect(err).toMatch(message);
    expect({ code, out }).toEqual({ code: 2, out: "" });
  });
});

const metaphor = dataPath("adapter-pfeiffer-mbert-metaphor");

describe.skipIf(!existsSync(metaphor))("a published adapter", () => {
  test("is more than 100 times smaller than its host", async () => {
    const { code, found } = await inspect(metaphor);
    expect(code).toBe(0);
    expect(found).toMatchObject({
      presets: ["seq_bn", "pfeiffer"],
      parameters: 12 * (2 * 768 * 48 + 768 + 48),
      full: { name: "bert-base-multilingual-cased" },
      heads: [{ type: "classification", labels: 2 }],
    });
    expect((found.full?.bytes as number) / found.bytes.disk).toBeGreaterThan(100);
  });

  test("is refused on a host of another width with all of its tensors", async () => {
    const { code, found } = await inspect(metaphor, "--host", folder.file("host"));
    expect(code).toBe(2);
    // Down, up and the bias of up of twelve layers have the width; width and layers are two problems themselves.
    expect(found.error?.problems).toHaveLength(2 + 36);
  });
});

const golden = dataPath("adapters-golden/bert/cases");

describe.skipIf(!existsSync(golden))("adapters that the library wrote", () => {
  test("are all described, with sites in the layers that carry them", async () => {
    const cases = readdirSync(golden).map((name) => join(golden, name, "adapters"));
    const places = cases.flatMap((path) => readdirSync(path).map((name) => join(path, name)));
    expect(places.length).toBeGreaterThan(30);
    for (const place of places) {
      const { code, found } = await inspect(place);
      expect(code, place).toBe(0);
      expect(found.methods.length, place).toBeGreaterThan(0);
      const carried = (found.sites?.groups ?? []).filter(({ sites }) => sites.length > 0);
      expect(carried.length + (found.sites?.embedding.length ?? 0), place).toBeGreaterThan(0);
      // DoRA alone is packed with the weights of its host.
      const dora = found.methods.some((method) => method.startsWith("DoRA"));
      expect(found.bytes.gpu === null, `${place} ${found.notes.join()}`).toBe(dora);
    }
  });

  test("DoRA is measured on its host", async () => {
    const base = dataPath("adapters-golden/bert/base");
    const { code, found } = await inspect(join(golden, "dora", "adapters", "a"), "--host", base);
    expect(code).toBe(0);
    expect(found.bytes.gpu).toBeGreaterThan(0);
    expect(found.cost.flopsPerToken).toBeGreaterThan(0);
  });
});
