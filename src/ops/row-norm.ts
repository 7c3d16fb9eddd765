/** @file What `layer-norm` and `rms-norm` share: shapes, cost and launches of both their forms. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { expectDim, expectTensor, staticDim } from "./op.ts";
import type { Dim, Op, OpCall, TensorType } from "./op.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";

/** Attributes of a norm. */
export interface NormAttributes {
  readonly eps: number;
  /** Which of the two addends is read through `gather`; `x` when absent. */
  readonly gatherOf?: "x" | "residual";
  readonly [name: string]: number | string | undefined;
}

type Types = Readonly<Record<string, TensorType>>;

/**
 * Makes a norm op. Plain form: x, gamma, (beta,) residual?, gather?, router? -> y [R, D], score [R] with a router.
 * Scatter form, where `scatter` is given: x, gamma, (beta,) residual?, scatter, weight?, base, origin? -> y [B, D],
 * which is base updated in place. A gathered index past its source stands for a row of zeros, a scattered one past base is
 * skipped; scattered rows are distinct.
 * @param vectors the row vectors that the norm always takes
 * @param flopsPerElement multiplications and additions of the plain form without options
 */
export function rowNorm(stem: string, vectors: readonly string[], flopsPerElement: number): Op<NormAttributes> {
  return {
    stem,
    infer: (inputs, attributes) => {
      checkAttributes(stem, inputs, attributes);
      return inputs.scatter === undefined
        ? inferPlain(stem, vectors, inputs, attributes)
        : inferScatter(stem, vectors, inputs);
    },
    cost: (call, size) => {
      const { inputs } = call;
      const width = widthOf(stem, call);
      const rows = size(rowsOf(call));
      const has = (...names: string[]): number => names.filter((name) => inputs[name] !== undefined).length;
      const around = has("residual", "origin", "weight", "scatter");
      const parts = { norm: flopsPerElement, router: 2 * has("router"), other: around };
      const perElement = Object.entries(parts).map(([kind, flops]) => [kind, rows * width * flops] as const);
      // x is read and y written; base is y before the update. With a router a score per row is written.
      const matrices = rows * width * (2 + has("residual", "origin", "base"));
      const columns = rows * has("gather", "scatter", "weight", "router");
      return counted(Object.fromEntries(perElement), 4 * (matrices + columns + width * has(...vectors, "router")));
    },
    variants: (call, device) => rowVariants(device, widthOf(stem, call)),
    launch: (call, variant) => {
      const { inputs, attributes } = call;
      const common = { variant, width: widthOf(stem, call), rows: rowsOf(call) };
      const constants = { EPSILON: attributes.eps, HAS_RESIDUAL: inputs.residual !== undefined };
      if (inputs.scatter !== undefined) {
        const options = { HAS_WEIGHT: inputs.weight !== undefined, HAS_ORIGIN: inputs.origin !== undefined };
        const uniform = { targets: inputs.base?.shape[0] as Dim };
        return [rowLaunch({ ...common, kernel: `${stem}.scatter`, constants: { ...constants, ...options }, uniform })];
      }
      const gathered = inputs.gather === undefined ? null : (attributes.gatherOf ?? "x");
      const options = {
        GATHER_X: gathered === "x",
        GATHER_RESIDUAL: gathered === "residual",
        HAS_ROUTER: inputs.router !== undefined,
      };
      const uniform = { sources: (gathered === "residual" ? inputs.residual : inputs.x)?.shape[0] as Dim };
      return [rowLaunch({ ...common, kernel: stem, constants: { ...constants, ...options }, uniform })];
    },
    inPlace: (call) => (call.inputs.scatter === undefined ? {} : { y: "base" }),
  };
}

function checkAttributes(stem: string, inputs: Types, { eps, gatherOf }: NormAttributes): void {
  if (!Number.isFinite(eps) || eps < 0) {
    throw new EngineError("SHAPE", `${stem}: eps is ${eps}, expected a number >= 0`, { where: `${stem}.eps` });
  }
  if (gatherOf !== undefined && gatherOf !== "x" && gatherOf !== "residual") {
    throw new EngineError("SHAPE", `${stem}: gatherOf is ${String(gatherOf)}, expected x or residual`, {
      where: `${stem}.gatherOf`,
    });
  }
  const clash = inputs.scatter === undefined ? ["weight", "base", "origin"] : ["gather", "router"];
  const found = clash.filter((name) => inputs[name] !== undefined);
  if (found.length === 0) return;
  const form = inputs.scatter === undefined ? "without" : "with";
  throw new EngineError("SHAPE", `${stem} ${form} scatter does not take ${found.join(", ")}`, {
    where: `${stem}.${found[0]}`,
  });
}

/** Checks x and the row vectors. */
function inferShared(stem: string, vectors: readonly string[], inputs: Types): { rows: Dim; width: number } {
  const x = expectTensor(stem, "x", inputs.x, 2);
  const width = staticDim(stem, "x axis 1", x.shape[1]);
  for (const name of vectors)
    expectDim(stem, `${name} axis 0`, expectTensor(stem, name, inputs[name], 1).shape[0], width);
  return { rows: x.shape[0] as Dim, width };
}

function inferPlain(
  stem: string,
  vectors: readonly string[],
  inputs: Types,
  attributes: NormAttributes,
): Record<string, TensorType> {
  const { rows: xRows, width } = inferShared(stem, vectors, inputs);
  const gather = inputs.gather === undefined ? undefined : expectTensor(stem, "gather", inputs.gather, 1, ["u32"]);
  const rows = gather === undefined ? xRows : (gather.shape[0] as Dim);
  const gatherOf = attributes.gatherOf ?? "x";
  if (gatherOf !== "x" || gather === undefined) expectDim(stem, "x axis 0", xRows, rows);
  if (inputs.residual !== undefined) {
    const residual = expectTensor(stem, "residual", inputs.residual, 2);
    if (gatherOf !== "residual" || gather === undefined) expectDim(stem, "residual axis 0", residual.shape[0], rows);
    expectDim(stem, "residual axis 1", residual.shape[1], width);
  } else if (gather !== undefined && gatherOf === "residual") {
    throw new EngineError("SHAPE", `${stem}: gatherOf is residual, but there is no residual`, {
      where: `${stem}.gatherOf`,
    });
  }
  const y: TensorType = { shape: [rows, width], element: "f32" };
  if (inputs.router === undefined) return { y };
  expectDim(stem, "router axis 0", expectTensor(stem, "router", inputs.router, 1).shape[0], width);
  return { y, score: { shape: [rows], element: "f32" } };
}

function inferScatter(stem: string, vectors: readonly string[], inputs: Types): Record<string, TensorType> {
  const { rows, width } = inferShared(stem, vectors, inputs);
  const base = expectTensor(stem, "base", inputs.base, 2);
  const targets = base.shape[0] as Dim;
  expectDim(stem, "base axis 1", base.shape[1], width);
  expectDim(stem, "scatter axis 0", expectTensor(stem, "scatter", inputs.scatter, 1, ["u32"]).shape[0], rows);
  for (const [name, axis] of [
    ["residual", rows],
    ["origin", targets],
  ] as const) {
    if (inputs[name] === undefined) continue;
    const tensor = expectTensor(stem, name, inputs[name], 2);
    expectDim(stem, `${name} axis 0`, tensor.shape[0], axis);
    expectDim(stem, `${name} axis 1`, tensor.shape[1], width);
  }
  if (inputs.weight !== undefined) {
    expectDim(stem, "weight axis 0", expectTensor(stem, "weight", inputs.weight, 1).shape[0], targets);
  }
  return { y: { shape: [targets, width], element: "f32" } };
}

/** Rows that are normed: not those of `base`. */
function rowsOf({ inputs }: OpCall<NormAttributes>): Dim {
  return (inputs.gather ?? inputs.x)?.shape[0] as Dim;
}

function widthOf(stem: string, { inputs }: OpCall<NormAttributes>): number {
  return staticDim(stem, "x axis 1", inputs.x?.shape[1]);
}
