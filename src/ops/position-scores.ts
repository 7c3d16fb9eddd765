/** @file Scores that depend on a row's place alone: the first rows, evenly spaced ones, or random ones (MATHS §1.5). */

import { EngineError } from "../errors.ts";
import { flatLaunch } from "./item-launch.ts";
import { expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link positionScores}. */
export interface PositionScoresAttributes extends Attributes {
  /** `first`: −place. `strided`: 1 for k evenly spaced rows from the first on, 0 for the others. `random`: uniform in [0, 1). */
  readonly mode: "first" | "strided" | "random";
  /** Of `random`: whole numbers below 2³²; another seed or stream gives other numbers. 0 when absent. */
  readonly seed?: number;
  readonly stream?: number;
}

const MODES: Readonly<Record<PositionScoresAttributes["mode"], number>> = { first: 0, strided: 1, random: 2 };

/**
 * x[R, …] (read for its row count only), segments[S + 1], selected_segments[S + 1] for `strided`, keys[S] u32 for `random` (a number
 * of each segment's own) -> y[R]. A row's score depends on its own segment alone.
 */
export const positionScores: Op<PositionScoresAttributes> = {
  stem: "position-scores",
  infer: ({ x, segments, selected_segments: selected, keys }, { mode, seed = 0, stream = 0 }) => {
    if (!Object.hasOwn(MODES, mode)) refuse("mode", mode, Object.keys(MODES).join(", "));
    for (const [name, value] of Object.entries({ seed, stream }))
      if (!(Number.isInteger(value) && value >= 0 && value < 2 ** 32)) refuse(name, value, "a whole number below 2^32");
    const { shape } = expectTensor("position-scores", "x", x, x?.shape.length ?? 0);
    const offsets = expectTensor("position-scores", "segments", segments, 1, ["u32"]).shape[0] as Dim;
    if (mode === "strided") {
      const table = expectTensor("position-scores", "selected_segments", selected, 1, ["u32"]);
      expectDim("position-scores", "selected_segments axis 0", table.shape[0], offsets);
    }
    if (mode === "random") expectTensor("position-scores", "keys", keys, 1, ["u32"]);
    return { y: { shape: [shape[0] as Dim], element: "f32" } };
  },
  cost: (call, size) => {
    const { x: _, ...read } = call.inputs;
    return { flops: 0, bytes: trafficBytes({ ...call, inputs: read }, size) };
  },
  variants: () => ["item"],
  launch: ({ inputs, outputs, attributes }) => {
    const rows = outputs.y?.shape[0] as Dim;
    const segments = segmentCount(inputs.segments as TensorType);
    const { mode, seed = 0, stream = 0 } = attributes;
    return [
      flatLaunch({
        kernel: "position-scores",
        items: rows,
        constants: { MODE: MODES[mode] },
        uniform: { rows, segments, seed, stream },
      }),
    ];
  },
};

function refuse(name: string, value: unknown, expected: string): never {
  throw new EngineError("SHAPE", `position-scores: ${name} is ${String(value)}, expected ${expected}`, {
    where: `position-scores.${name}`,
  });
}
