/** @file The oracle on random cases: what must hold for any weights, in both semantics. */

import { describe, expect, test } from "vitest";
import type { Files } from "./adapter-files.ts";
import { oracle } from "./oracle.ts";
import type { OracleRequest } from "./oracle.ts";
import { kindsFor, randomFusion } from "./random-adapters.ts";
import { randomHost } from "./random-host.ts";
import { randomCase, setupShapes } from "./random.ts";
import { at } from "./rows.ts";
import { float32Tolerance } from "./sensitivity.ts";
import type { SetupNode } from "./setup-tree.ts";

/** Float64 sums of a few hundred terms of order 1, in another order, through at most three layers of gain about 2. */
const REORDERED = 1e-10;
/** A change that no rounding makes. */
const VISIBLE = 1e-4;

function distance(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  expect(a.map((rows) => rows.length)).toEqual(b.map((rows) => rows.length));
  return Math.max(...a.flatMap((rows, s) => [...rows].map((value, i) => Math.abs(value - at(b[s] ?? [], i)))));
}

const leaf = (name: string): SetupNode => ({ type: "single", children: [name] });
const stack = (...names: string[]): SetupNode => ({ type: "Stack", children: names.map((name) => leaf(name)) });

/** A folder under another name: the library's loader renames the keys, the oracle goes by the name in the file. */
const again = (files: Files): Files => ({ ...files });

describe("random cases", () => {
  test("a seed gives the same bytes", () => {
    expect(randomCase(7)).toEqual(randomCase(7));
    expect(randomCase(7).adapters).not.toEqual(randomCase(8).adapters);
  });

  test.each([false, true])("every shape runs and matters, compat %s", (compat) => {
    for (const [i, shape] of [...setupShapes, ...setupShapes, ...setupShapes].entries()) {
      const request = randomCase(1000 + i, { shape, compat });
      const values = oracle(request);
      expect(
        values.every((rows) => rows.every((value) => Number.isFinite(value))),
        request.title,
      ).toBe(true);
      const bareHost = oracle({ host: request.host, inputs: request.inputs });
      const copies = Array.from({ length: values.length / bareHost.length }, () => bareHost).flat();
      const same = values.every((rows, s) => rows.length === copies[s]?.length) && distance(values, copies) < VISIBLE;
      expect(same, request.title).toBe(false);
    }
  });

  test.each(["bert", "gpt2"] as const)("one adapter of any kind is the same in both semantics, %s", (family) => {
    for (const kind of kindsFor(randomHost(1, family))) {
      for (let seed = 0; seed < 6; seed++) {
        const request = randomCase(seed, { family, kind, shape: "single" });
        expect(distance(oracle(request), oracle({ ...request, compat: true })), request.title).toBeLessThan(REORDERED);
      }
    }
  });
});

test("the tolerance of a float32 run is small, and grows with the noise a case makes of it", () => {
  const tolerances = Array.from({ length: 12 }, (_, seed) => float32Tolerance(randomCase(seed, { shape: "single" })));
  for (const tolerance of tolerances) {
    expect(tolerance).toBeGreaterThan(1e-6);
    expect(tolerance).toBeLessThan(1e-3);
  }
});

describe("whose configuration counts", () => {
  const fields = {
    leave_out: [],
    mh_adapter: true,
    output_adapter: true,
    is_parallel: false,
    original_ln_before: true,
    original_ln_after: true,
    residual_before_ln: true,
    inv_adapter: null,
  };
  /** Whether a block of two gives something else once this adapter's field has this value. */
  const matters = (type: string, compat: boolean, name: string, field: string, value: unknown): boolean => {
    const request = randomCase(2, { family: "bert", shape: "fuse", kind: "bottleneck", compat, fields });
    const fusion = randomFusion(request.sizes, ["a", "b"], 5);
    const active: SetupNode = {
      type,
      children: [leaf("a"), leaf("b")],
      kwargs: { splits: [2, 3], batch_sizes: [1, 1] },
    };
    const inputs = [
      [1, 2, 3, 4, 5],
      [6, 7, 8, 9, 1],
    ];
    const plain = { ...request, active, inputs, fusions: { "a,b": fusion } };
    const files = request.adapters[name] as Files;
    const envelope = JSON.parse(String(files["adapter_config.json"])) as Record<string, object>;
    const changed = JSON.stringify({ ...envelope, config: { ...envelope["config"], [field]: value } });
    const adapters = { ...request.adapters, [name]: { ...files, "adapter_config.json": changed } };
    return distance(oracle(plain), oracle({ ...plain, adapters })) > VISIBLE;
  };
  /** Of `a` and `b`: does the pre step's field count, does the post step's? */
  const counts = (type: string, compat: boolean): boolean[] =>
    ["original_ln_before", "original_ln_after"].flatMap((field) =>
      ["a", "b"].map((name) => matters(type, compat, name, field, false)),
    );

  test("in the library: the first prepares and the last closes; of a fusion the last does both", () => {
    for (const type of ["Average", "Split", "BatchSplit", "Parallel"]) {
      expect(counts(type, true), type).toEqual([true, false, false, true]);
    }
    expect(counts("Fuse", true)).toEqual([false, true, false, true]);
    expect(counts("Stack", true)).toEqual([true, true, false, true]);
  });

  test("sanely: everybody's own, and the last closes where the children meet", () => {
    for (const type of ["Split", "BatchSplit", "Parallel"]) {
      expect(counts(type, false), type).toEqual([true, true, true, true]);
    }
    expect(counts("Average", false)).toEqual([true, true, true, true]);
    expect(counts("Fuse", false)).toEqual([false, true, false, true]);
    expect(counts("Stack", false)).toEqual([true, true, false, true]);
  });
});

describe("the sane semantics", () => {
  const sequences = (request: OracleRequest, name: string, inputs = request.inputs): Float64Array[] =>
    oracle({ ...request, active: stack(name), inputs });

  test("a batch split and a parallel block are their children run alone", () => {
    for (let seed = 0; seed < 8; seed++) {
      const split = randomCase(seed, { shape: "batchSplit" });
      const sizes = split.active.kwargs?.batch_sizes as number[];
      let start = 0;
      const alone = Object.keys(split.adapters).flatMap((name, i) => {
        const own = split.inputs.slice(start, (start += at(sizes, i)));
        return sequences(split, name, own);
      });
      expect(distance(oracle(split), alone), split.title).toBe(0);
      const parallel = randomCase(seed, { shape: "parallel" });
      const copies = Object.keys(parallel.adapters).flatMap((name) => sequences(parallel, name));
      expect(distance(oracle(parallel), copies), parallel.title).toBe(0);
    }
  });

  test("an average of one adapter with itself is that adapter; the library's is half of it", () => {
    for (let seed = 0; seed < 6; seed++) {
      const request = randomCase(seed, { shape: "single", kind: "bottleneck" });
      const adapters = { a: request.adapters["a"] as Files, b: again(request.adapters["a"] as Files) };
      const active: SetupNode = { type: "Average", children: [leaf("a"), leaf("b")] };
      const averaged = { ...request, adapters, active };
      expect(distance(oracle(averaged), oracle(request)), request.title).toBeLessThan(REORDERED);
      expect(distance(oracle({ ...averaged, compat: true }), oracle(request)), request.title).toBeGreaterThan(VISIBLE);
    }
  });

  test("a stack of parallel bottlenecks accumulates, in any order; the library keeps the last", () => {
    for (let seed = 0; seed < 6; seed++) {
      const request = randomCase(seed, {
        shape: "stack",
        kind: "bottleneck",
        fields: { is_parallel: true, inv_adapter: null },
      });
      const names = Object.keys(request.adapters);
      const forward = oracle({ ...request, active: stack(...names) });
      const backward = oracle({ ...request, active: stack(...names.toReversed()) });
      expect(distance(forward, backward), request.title).toBeLessThan(REORDERED);
    }
    const fields = { is_parallel: true, inv_adapter: null, leave_out: [], mh_adapter: true, output_adapter: true };
    const request = randomCase(3, { shape: "stack", kind: "bottleneck", fields });
    const last = Object.keys(request.adapters).at(-1) as string;
    const kept = oracle({ ...request, compat: true });
    expect(distance(kept, oracle({ ...request, active: stack(last) }))).toBeLessThan(REORDERED);
  });

  test("a stack of LoRAs sums, in any order; the library's composes", () => {
    for (let seed = 0; seed < 6; seed++) {
      const request = randomCase(seed, {
        family: "bert",
        shape: "stack",
        kind: "lora",
        fields: { intermediate_lora: false, output_lora: false },
      });
      const names = Object.keys(request.adapters);
      const backward = oracle({ ...request, active: stack(...names.toReversed()) });
      expect(distance(oracle(request), backward), request.title).toBeLessThan(REORDERED);
    }
    const fields = { intermediate_lora: false, output_lora: false, attn_matrices: ["q", "v"], leave_out: [] };
    const request = randomCase(1, { family: "bert", shape: "stack", kind: "lora", fields });
    expect(distance(oracle(request), oracle({ ...request, compat: true }))).toBeGreaterThan(VISIBLE);
  });

  test.each(["lora", "ia3", "dora"] as const)("merging %s changes nothing", (kind) => {
    for (let seed = 0; seed < 8; seed++) {
      // Merged weights stay where a layer is skipped, so none is.
      const request = { ...randomCase(seed, { shape: "single", kind, fields: { use_gating: false } }), skipLayers: [] };
      const merged = oracle({ ...request, merged: "a" });
      expect(distance(merged, oracle(request)), request.title).toBeLessThan(REORDERED);
    }
  });

  test("equal adapters under a fusion without values are that adapter's block", () => {
    for (let seed = 0; seed < 8; seed++) {
      const plainBlock = { use_gating: false, ln_after: false, adapter_residual_before_ln: false, inv_adapter: null };
      const fields = { ...plainBlock, is_parallel: seed % 2 === 0 };
      const request = randomCase(seed, { shape: "fuse", kind: "bottleneck", fields });
      const one = request.adapters["a"] as Files;
      const names = Object.keys(request.adapters);
      const fusion = Object.values(request.fusions)[0] as Files;
      const config = JSON.parse(String(fusion["adapter_fusion_config.json"])) as Record<string, object>;
      const plain = { ...config, config: { ...config["config"], value: false, residual_before: false } };
      const result = oracle({
        ...request,
        adapters: Object.fromEntries(names.map((name) => [name, again(one)])),
        fusions: { [names.join(",")]: { ...fusion, "adapter_fusion_config.json": JSON.stringify(plain) } },
      });
      expect(distance(result, sequences(request, "a")), request.title).toBeLessThan(REORDERED);
    }
  });

  test("a fusion of sequential bottlenecks is the library's", () => {
    for (let seed = 0; seed < 8; seed++) {
      const fields = { is_parallel: false, leave_out: [], mh_adapter: true, output_adapter: true };
      const request = randomCase(seed, { shape: "fuse", kind: "bottleneck", fields });
      expect(distance(oracle(request), oracle({ ...request, compat: true })), request.title).toBeLessThan(REORDERED);
    }
  });

  test("heads follow the composition", () => {
    const request = randomCase(5, { shape: "parallel", kind: "bottleneck" });
    const logits = oracle({ ...request, heads: request.adapters });
    const alone = Object.keys(request.adapters).flatMap((name) =>
      oracle({ ...request, heads: request.adapters, active: stack(name) }),
    );
    expect(distance(logits, alone)).toBe(0);
  });
});
