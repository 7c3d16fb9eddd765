/** @file Bad use of adapters: names, compositions, lists and slots; one error each, the model unchanged, bytes returned. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { average, batchSplit, fuse, none, parallel, split, stack } from "../../src/adapters/composition.ts";
import type { Composition, CompositionInput } from "../../src/adapters/composition.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { hiddenOf, idsOf, lively } from "./lively.ts";
import { headConfig, input, pfeiffer, readyModel, refused, remove, watch } from "./watched.ts";
import type { Expected, Watched } from "./watched.ts";

let gpu: Gpu;
let tiny: TinyModel;
let watched: Watched;
let model: Model;

beforeAll(async () => {
  gpu = await sharedGpu();
  tiny = tinyModel("bert");
  watched = await readyModel(gpu, tiny);
  ({ model } = watched);
});
afterAll(async () => model.dispose());

describe("names", () => {
  test("that are taken, empty or unknown", async () => {
    const again = lively(tiny.host.shape, pfeiffer, 3);
    await refused(watched, ["UNKNOWN_NAME", /^a$/, /adapter a already/], () => model.addAdapter("a", again));
    await refused(watched, ["BAD_CONFIG", /addAdapter/, /needs a name/], () => model.addAdapter("", again));
    await refused(watched, ["UNKNOWN_NAME", /^free$/, /head free already/], () =>
      model.addHead("free", { config: headConfig }),
    );
    await refused(watched, ["BAD_CONFIG", /addHead/, /cannot be called "default"/], () =>
      model.addHead("default", { config: headConfig }),
    );
    await refused(watched, ["UNKNOWN_NAME", /^a,b$/, /fusion a,b already/], () =>
      model.addFusion(["a", "b"], "dynamic"),
    );
    await refused(watched, ["UNKNOWN_NAME", /^z$/, /no adapter z; resident: a, b/], () => model.setActive("z"));
    await refused(watched, ["UNKNOWN_NAME", /^z$/, /no adapter z/], () => model.addFusion(["a", "z"], "dynamic"));
    await refused(watched, ["UNKNOWN_NAME", /^z$/, /no adapter z/], () => model.removeAdapter("z"));
    await refused(watched, ["UNKNOWN_NAME", /^z$/, /no head z/], () => model.removeHead("z"));
    await refused(watched, ["UNKNOWN_NAME", /^z$/, /no adapter z/], () => model.run(input, { adapters: ["a", "z"] }));
    await refused(watched, ["UNKNOWN_NAME", /^z$/, /no adapter z/], () => model.warmup(["z"]));
    await refused(watched, ["UNKNOWN_NAME", /^z$/, /no adapter z/], () => model.mergeAdapter("z"));
  });
});

describe("compositions", () => {
  test.each<[string, string, RegExp, RegExp, () => CompositionInput]>([
    ["a parallel run in a fusion", "BAD_CONFIG", /fuse/, /fuse cannot hold parallel/, () => fuse("a", parallel("b"))],
    ["a fusion in an average", "BAD_CONFIG", /average/, /average cannot hold fuse/, () => average("a", fuse("a", "b"))],
    [
      "a parallel run in a split",
      "BAD_CONFIG",
      /split/,
      /split cannot hold parallel/,
      () => split("a", parallel("b"), { splits: 3 }),
    ],
    ["none in a fusion", "BAD_CONFIG", /fuse/, /cannot hold none/, () => fuse("a", none)],
    [
      "a block too deep",
      "BAD_CONFIG",
      /split/,
      /too deep/,
      () => stack("a", split("a", split("a", "b", { splits: 1 }), { splits: 3 })),
    ],
    ["a fusion of one", "BAD_CONFIG", /fuse/, /expected at least 2/, () => fuse("a")],
    [
      "sizes for another number of children",
      "BAD_CONFIG",
      /batchSplit/,
      /batchSizes/,
      () => batchSplit("a", "b", { batchSizes: [2] }),
    ],
    [
      "what no constructor makes",
      "BAD_CONFIG",
      /kind/,
      /has the kind "tree"/,
      () => ({ kind: "tree", children: [] }) as unknown as Composition,
    ],
    ["a number", "BAD_CONFIG", /composition/, /built of adapter names/, () => 3 as unknown as string],
    [
      "a fusion without weights",
      "UNKNOWN_NAME",
      /^b,a$/,
      /no fusion weights for b,a; known: a,b/,
      () => fuse("b", "a"),
    ],
  ])("%s", async (_, code, where, pattern, make) => {
    await refused(watched, [code, where, pattern], () => model.setActive(make()));
    await refused(watched, [code, where, pattern], () => model.warmup([make()]));
  });

  test("a fusion without weights names addFusion", () => {
    expect(() => model.setActive(fuse("b", "a"))).toThrow(
      expect.objectContaining({ fix: expect.stringContaining("addFusion") as string }) as Error,
    );
  });

  test("whose sizes do not fit the batch are refused in the run that they do not fit", async () => {
    const { model: own } = await readyModel(gpu, tiny);
    own.setActive(batchSplit("a", "b", { batchSizes: [1, 1] }));
    const parted = await watch(gpu, own);
    await refused(parted, ["BAD_INPUT", /batchSplit/, /make 2 sequences, there are 3/], () =>
      own.run(idsOf([6, 6, 6])),
    );
    own.setActive(split("a", "b", { splits: 3 }));
    const cut = await watch(gpu, own);
    await refused(cut, ["BAD_INPUT", /split/, /make 6 tokens, sequence 1 has 5/], () => own.run(idsOf([6, 5])));
    await own.dispose();
  });
});

describe("runs with one adapter per sequence", () => {
  test("of another number than there are sequences", async () => {
    for (const adapters of [[], ["a"], ["a", null, "b"]])
      await refused(watched, ["BAD_INPUT", /^adapters$/, /the batch has 2 sequences/], () =>
        model.run(input, { adapters }),
      );
  });
});

describe("slots", () => {
  test("that are used up, or too narrow, are refused when the adapter is added, also for other methods", async () => {
    const own = await loadFolder(gpu, tiny.folder, { slots: { count: 2, width: 16 } });
    const { shape } = tiny.host;
    await own.addAdapter("a", lively(shape, pfeiffer, 1));
    own.setActive("a");
    const narrow = await watch(gpu, own);
    const wide = lively(shape, { ...pfeiffer, reduction_factor: 1 }, 3);
    const message = /bottleneck of 32, the slots of this model hold 16/;
    await refused(narrow, ["NO_CAPACITY", /^w$/, message], () => own.addAdapter("w", wide));
    await own.addAdapter("b", lively(shape, pfeiffer, 2));
    own.setActive("b");
    const used = await watch(gpu, own);
    const full: Expected = ["NO_CAPACITY", /^slots\.count$/, /all 2 adapter slots are taken: a, b/];
    for (const config of [pfeiffer, "lora", { architecture: "prefix_tuning", flat: true }])
      await refused(used, full, () => own.addAdapter("c", lively(shape, config, 3)));
    const bits = hiddenOf(await own.run(input));
    own.removeAdapter("a");
    await own.addAdapter("c", lively(shape, pfeiffer, 3));
    expect(hiddenOf(await own.run(input))).toEqual(bits);
    await own.dispose();
  });

  test("a budget that does not hold a slot, and one that no longer holds what is there without eviction", async () => {
    const { shape } = tiny.host;
    const small = await loadFolder(gpu, tiny.folder, { slots: { bytes: 1000 } });
    const first = await watch(gpu, small);
    await refused(first, ["NO_CAPACITY", /^slots\.bytes$/, /the budget is 1000/], () =>
      small.addAdapter("a", lively(shape, pfeiffer, 1)),
    );
    await small.dispose();
    const slot = model.bank.bytes / model.bank.slots;
    const own = await loadFolder(gpu, tiny.folder, { slots: { bytes: 2 * slot, evict: false } });
    for (const [seed, name] of ["a", "b"].entries()) await own.addAdapter(name, lively(shape, pfeiffer, seed));
    own.setActive("b");
    const used = await watch(gpu, own);
    await refused(used, ["NO_CAPACITY", /^slots\.bytes$/, /all 2 adapter slots are taken: a, b/], () =>
      own.addAdapter("c", lively(shape, pfeiffer, 3)),
    );
    await remove(used, "a");
    // There is a slot, but wider slots would leave room for one of them only, where b is.
    const houlsby = lively(shape, { ...pfeiffer, mh_adapter: true }, 3);
    const left = await watch(gpu, own);
    await refused(left, ["NO_CAPACITY", /^slots\.bytes$/, /all 1 adapter slots are taken: b/], () =>
      own.addAdapter("c", houlsby),
    );
    await own.dispose();
  });
});
