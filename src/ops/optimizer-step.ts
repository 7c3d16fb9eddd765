/** @file What the optimisers share as ops: all trained elements in one launch, in place, found through a table of blocks. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Op, TensorType } from "./op.ts";

/** Elements of a block: what is trained begins at multiples of so many in the flat gradient. */
export const BLOCK_ELEMENTS = 64;

/** Words of a record of `blocks`: first element in `weights`, elements, group, nothing. */
export const BLOCK_WORDS = 4;

/** Numbers of a row of `groups`. A rate factor of 0 leaves the group as it is; the corrections are 1 − β^t, for `adamw`. */
export const GROUP_NUMBERS = ["rateFactor", "decay", "correction1", "correction2"] as const;

interface OptimizerKernel {
  readonly stem: string;
  /** Flat arrays beside the gradient that the optimiser keeps. */
  readonly states: readonly string[];
  /** Length of `settings`. */
  readonly settings: number;
  readonly flopsPerElement: number;
}

/**
 * weights[W], states…[G], gradient[G], blocks[G / 64, 4] u32, groups[groups, 4] ({@link GROUP_NUMBERS}), norm[1], settings ->
 * weights, states, updated in place. G is a multiple of 64.
 */
export function optimizerStep({ stem, states, settings, flopsPerElement }: OptimizerKernel): Op {
  const updated = ["weights", ...states];
  return {
    stem,
    infer: (inputs) => {
      const vector = (name: string): TensorType => expectTensor(stem, name, inputs[name], 1);
      const elements = staticDim(stem, "gradient axis 0", vector("gradient").shape[0]);
      if (elements % BLOCK_ELEMENTS !== 0) {
        const message = `${stem}: gradient axis 0 is ${elements}, expected a multiple of ${BLOCK_ELEMENTS}`;
        throw new EngineError("SHAPE", message, { where: `${stem}.gradient` });
      }
      for (const state of states) expectDim(stem, `${state} axis 0`, vector(state).shape[0], elements);
      const blocks = expectTensor(stem, "blocks", inputs.blocks, 2, ["u32"]);
      expectDim(stem, "blocks axis 0", blocks.shape[0], elements / BLOCK_ELEMENTS);
      expectDim(stem, "blocks axis 1", blocks.shape[1], BLOCK_WORDS);
      expectDim(stem, "groups axis 1", expectTensor(stem, "groups", inputs.groups, 2).shape[1], GROUP_NUMBERS.length);
      expectDim(stem, "norm axis 0", vector("norm").shape[0], 1);
      expectDim(stem, "settings axis 0", vector("settings").shape[0], settings);
      return Object.fromEntries(updated.map((name) => [name, vector(name)]));
    },
    cost: (call, size) =>
      counted(
        { other: flopsPerElement * size(call.inputs.gradient?.shape[0] ?? 0) },
        trafficBytes(call, size) - weightsLeft(call.inputs, size),
      ),
    updates: () => Object.fromEntries(updated.map((name) => [name, name])),
    variants: () => ["blocks"],
    launch: ({ inputs }) => {
      const items = (inputs.gradient?.shape[0] as number) / 4;
      return [flatLaunch({ kernel: stem, items, uniform: { items } })];
    },
  };
}

/** Bytes of weights that are not trained, read and written: they lie between those that are, and nobody touches them. */
function weightsLeft(inputs: Readonly<Record<string, TensorType>>, size: (dim: number) => number): number {
  const [weights, trained] = [inputs.weights?.shape[0] as number, inputs.gradient?.shape[0] as number];
  return 8 * Math.max(0, size(weights) - trained);
}
