/** @file A model on which everything that is refused must leave no trace: same state, same bits, same bytes. */

import { expect } from "vitest";
import { stack } from "../../src/adapters/composition.ts";
import { EngineError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { TinyModel } from "../tiny-models.ts";
import { NOTHING, createdBy, hiddenOf, idsOf, lively } from "./lively.ts";

/** Adapters and heads of these tests. */
export const pfeiffer = {
  mh_adapter: false,
  output_adapter: true,
  original_ln_before: true,
  reduction_factor: 4,
  non_linearity: "relu",
} as const;
export const headConfig = { head_type: "classification", num_labels: 3, layers: 1 } as const;

/** The batch whose result must not change: two sequences of six tokens. */
export const input: ReturnType<typeof idsOf> = idsOf([6, 6]);

/** Code, place and text of an error. */
export type Expected = readonly [string, RegExp, RegExp];

/** A model as it runs now. */
export interface Watched {
  readonly model: Model;
  readonly gpu: Gpu;
  /** What it gives for {@link input}. */
  readonly bits: Float32Array;
}

/** Watches a model with what is active on it. */
export async function watch(gpu: Gpu, model: Model): Promise<Watched> {
  return { gpu, model, bits: hiddenOf(await model.run(input)) };
}

/** A model with two adapters that run, a fusion and a head. */
export async function readyModel(gpu: Gpu, { folder, host }: TinyModel): Promise<Watched> {
  const model = await loadFolder(gpu, folder);
  await model.addAdapter("a", lively(host.shape, pfeiffer, 1));
  await model.addAdapter("b", lively(host.shape, pfeiffer, 2));
  await model.addFusion(["a", "b"], "dynamic");
  await model.addHead("free", { config: headConfig });
  model.setActive(stack("a", "b"));
  return watch(gpu, model);
}

/** Removes an adapter and waits until its slot is free. */
export async function remove({ model }: Watched, name: string): Promise<void> {
  model.removeAdapter(name);
  await model.run(input);
}

/** One EngineError with code, place and text; afterwards everything is as it was, to the bit and to the byte. */
export async function refused(
  { gpu, model, bits }: Watched,
  [code, where, pattern]: Expected,
  act: () => Promise<unknown> | unknown,
): Promise<EngineError> {
  const state = (): unknown => [model.adapters, model.heads, model.fusions, model.active, model.bank];
  const before = state();
  let caught: unknown;
  const created = await createdBy(gpu, async () => {
    try {
      await act();
    } catch (error) {
      caught = error;
    }
  });
  expect(caught).toBeInstanceOf(EngineError);
  const error = caught as EngineError;
  expect(`${error.code}: ${error.message}`).toMatch(pattern);
  expect(error.code).toBe(code);
  expect(error.where).toMatch(where);
  expect(created).toMatchObject({ buffers: 0, bytes: 0 });
  expect(state()).toEqual(before);
  const after: Float32Array[] = [];
  expect(await createdBy(gpu, async () => after.push(hiddenOf(await model.run(input))))).toEqual(NOTHING);
  expect(after).toEqual([bits]);
  return error;
}
