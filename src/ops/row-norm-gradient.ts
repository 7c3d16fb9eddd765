/** @file What `layer-norm-gradient` and `rms-norm-gradient` share: shapes, cost and launches. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { itemLibrary, rowLaunch, rowVariants } from "./row-launch.ts";
import { sumBlock, sumBlocks } from "./sum-rows.ts";

/** Attributes of the gradient of a norm. */
export interface NormGradientAttributes {
  readonly eps: number;
  /** Whether the gradients of the row vectors are wanted as well. */
  readonly affine?: boolean;
  readonly [name: string]: number | boolean | undefined;
}

/** What differs between the gradients of the norms. */
export interface NormGradient {
  readonly stem: string;
  /** The norm subtracts a mean and adds a row vector beta. */
  readonly centred: boolean;
  /** Multiplications and additions of ∂x for every element, and of the row vectors' gradients. */
  readonly flops: number;
  readonly affineFlops: number;
}

/** Values that the rows' launch keeps of each row for the columns' launch: shift and scale. */
const STATISTICS = 2;

type Call = OpCall<NormGradientAttributes>;

/**
 * Makes the gradient of a norm in its plain form: x[R, D], gamma[D], dy[R, D], residual?[R, D] -> dx[R, D], to which residual is
 * added; with `affine` also dgamma[D] and of a centred norm dbeta[D], summed over the rows in a fixed order. Means and variances are
 * found again: they cost less than to keep them.
 */
export function rowNormGradient(norm: NormGradient): Op<NormGradientAttributes> {
  const { stem, centred } = norm;
  return {
    stem,
    infer: ({ x, gamma, dy, residual }, { eps, affine }) => {
      if (!Number.isFinite(eps) || eps < 0)
        throw new EngineError("SHAPE", `${stem}: eps is ${eps}, expected a number >= 0`, { where: `${stem}.eps` });
      const { shape } = expectTensor(stem, "x", x, 2);
      const width = staticDim(stem, "x axis 1", shape[1]);
      const vector = expectTensor(stem, "gamma", gamma, 1);
      expectDim(stem, "gamma axis 0", vector.shape[0], width);
      for (const [name, type] of Object.entries({ dy, residual })) {
        if (type === undefined && name === "residual") continue;
        const tensor = expectTensor(stem, name, type, 2);
        tensor.shape.forEach((dim, axis) => expectDim(stem, `${name} axis ${axis}`, dim, shape[axis] as Dim));
      }
      const dx: TensorType = { shape, element: "f32" };
      if (affine !== true) return { dx };
      return { dx, dgamma: vector, ...(centred ? { dbeta: vector } : {}) };
    },
    cost: (call, size) => {
      const elements = elementCount(call.outputs.dx as TensorType, size);
      const perElement = norm.flops + (call.attributes.affine === true ? norm.affineFlops : 0);
      const added = call.inputs.residual === undefined ? 0 : elements;
      return counted({ norm: perElement * elements, other: added }, trafficBytes(call, size));
    },
    variants: (call, device) => rowVariants(device, (call.inputs.x as TensorType).shape[1] as number),
    launch: (call, variant, _, capacity) => {
      const rows = rowsLaunch(norm, call, variant);
      if (call.attributes.affine !== true) return [rows];
      const scratch = scratchOf(norm, call, capacity);
      return [rows, ...columnLaunches(norm, call, capacity)].map((launch) => ({ ...launch, scratch }));
    },
  };
}

function shapeOf({ inputs }: Call): readonly [Dim, number] {
  return (inputs.x as TensorType).shape as readonly [Dim, number];
}

function rowsLaunch({ stem }: NormGradient, call: Call, variant: string): Launch {
  const [rows, width] = shapeOf(call);
  const { eps, affine = false } = call.attributes;
  const constants = { EPSILON: eps, HAS_RESIDUAL: call.inputs.residual !== undefined, HAS_STATISTICS: affine };
  return rowLaunch({ kernel: stem, variant, width, rows, constants });
}

function scratchOf({ centred }: NormGradient, call: Call, capacity: SizeOf): Record<string, number> {
  const [rows, width] = shapeOf(call);
  const blocks = sumBlocks(rows, sumBlock(rows, capacity))(capacity);
  return {
    statistics: Math.max(capacity(rows), 1) * STATISTICS,
    partials: Math.max(blocks, 1) * width * (centred ? 2 : 1),
  };
}

/** The sums over rows: first of blocks of them, then of the blocks. */
function columnLaunches({ centred }: NormGradient, call: Call, capacity: SizeOf): Launch[] {
  const [rows, width] = shapeOf(call);
  const block = sumBlock(rows, capacity);
  const blocks = sumBlocks(rows, block);
  const libs = [itemLibrary(width)];
  const items = width % 4 === 0 ? width / 4 : width;
  const partial = flatLaunch({
    kernel: "layer-norm-gradient.columns",
    items: (size) => blocks(size) * items,
    constants: { WIDTH: width, BLOCK: block, CENTRED: centred },
    libs,
    uniform: { rows },
  });
  const whole = flatLaunch({
    kernel: "layer-norm-gradient.join",
    items: items * (centred ? 2 : 1),
    constants: { WIDTH: width, CENTRED: centred },
    libs,
    uniform: { blocks },
  });
  return [partial, whole];
}
