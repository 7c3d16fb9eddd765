/** @file The way back through a bottleneck adapter: the gradient of what it read, and what its weights' gradients are made of. */

import { EngineError } from "../errors.ts";
import { ACTIVATION_FLOPS } from "./activation.ts";
import { adapter, adapterLaunch, adapterVariants, tileRows, tilesOf, usesOf, widthsOf } from "./adapter.ts";
import type { AdapterAttributes, AdapterVariant, SlotUse } from "./adapter.ts";
import { counted } from "./cost.ts";
import type { Cost } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { DeviceTraits, Dim, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link adapterGradient}: those of the adapter, and what is wanted. */
export interface AdapterGradientAttributes extends AdapterAttributes {
  /** The outputs of the weights' gradients are wanted, those of this slot; absent: none of them. */
  readonly slot?: number | undefined;
  /** dx is wanted. */
  readonly input: boolean;
  /** x was the adapter's residual as well: dx is the gradient of both, with dy added. */
  readonly skip?: boolean;
}

type GradientCall = OpCall<AdapterGradientAttributes>;

const STEM = "adapter-gradient";
/** Of a tile in the table that the first launch writes: kernels/lib/adapter-tile-table.wgsl. */
const TILE_WORDS = 8;
/** Slope, and the two products with it, of every unit. */
const SLOPE_FLOPS = ACTIVATION_FLOPS + 2;

/**
 * x[R, D], dy[R, C], bank, slots, segments and segment_slots of `adapter`, of which y = scale · (u Wuᵀ + cu), u = act(z),
 * z = x Wdᵀ + cd -> with `input` dx[R, D] = dz Wd, dz = scale · (dy Wu) ⊙ act'(z), rows of every slot; 0 without one.
 * With `slot` dz[R, B], u[R, B] = scale · act(z) and mask[R] = scale in the rows of segments that name this slot, 0 in all others
 * and in units from the active width on: ∂Wd = dzᵀ x, ∂cd = Σ dz, ∂Wu = dyᵀ u, ∂cu = Σ mask · dy. z is computed again.
 */
export const adapterGradient: Op<AdapterGradientAttributes> = {
  stem: STEM,
  infer: (inputs, attributes) => {
    const { dy, ...forward } = inputs;
    const { shape } = adapter.infer({ ...forward }, attributes).y as TensorType;
    const gradient = expectTensor(STEM, "dy", dy, 2);
    expectDim(STEM, "dy axis 0", gradient.shape[0], shape[0] as Dim);
    expectDim(STEM, "dy axis 1", gradient.shape[1], shape[1] as Dim);
    expectWanted(attributes, inputs.bank?.shape[0] as number);
    return outputsOf(shape[0] as Dim, attributes);
  },
  cost: (call, size, read) => gradientCost(call, size, usesOf(call, size, read)),
  variants: ({ inputs, attributes }, device, capacity) =>
    adapterVariants(widthsOf(attributes), device, capacity(inputs.x?.shape[0] as Dim)),
  launch: (call, variant, device, capacity) => gradientLaunches(call, variant as AdapterVariant, device, capacity),
};

function expectWanted({ input, slot, skip, ...widths }: AdapterGradientAttributes, slots: number): void {
  const fail = (name: string, message: string): never => {
    throw new EngineError("BAD_CONFIG", `${STEM}: ${message}`, { where: `${STEM}.${name}` });
  };
  if (!input && slot === undefined) fail("input", "no output is wanted: input is false and no slot is given");
  if (slot !== undefined && !(Number.isInteger(slot) && slot >= 0 && slot < slots))
    fail("slot", `slot is ${slot}, the bank has ${slots}`);
  const { width, columns } = widthsOf(widths);
  if (skip === true && width !== columns)
    fail("skip", `x has ${width} columns and dy ${columns}: they were not one value`);
}

function outputsOf(rows: Dim, { width, maxWidth, input, slot }: AdapterGradientAttributes): Record<string, TensorType> {
  const matrix = (columns: number): TensorType => ({ shape: [rows, columns], element: "f32" });
  return {
    ...(input ? { dx: matrix(width) } : {}),
    ...(slot === undefined
      ? {}
      : { dz: matrix(maxWidth), u: matrix(maxWidth), mask: { shape: [rows], element: "f32" } }),
  };
}

/**
 * 2·b·(2·D + C) a row with the width b of its own slot, 2·b·(D + C) without dx, where rows of other slots take no part. Rows and
 * tables are read once, and of the bank the units and columns of the slots in use.
 */
function gradientCost(call: GradientCall, size: SizeOf, uses: readonly SlotUse[]): Cost {
  const { input, slot: trained, skip } = call.attributes;
  const { width, columns } = widthsOf(call.attributes);
  const { bank, slots: _, ...others } = call.inputs;
  let [products, around, elements, taken] = [0, 0, 0, 0];
  for (const { slot, units, activated, rows } of uses) {
    const weights = trained !== undefined && (slot === undefined || slot === trained);
    if (units === 0 || (!input && !weights)) continue;
    products += rows * 2 * units * (width + columns + (input ? width : 0));
    // Bias and slope of every unit; the activation and its scale where the weights are trained; the skipped gradient.
    around += rows * units * (1 + (activated ? SLOPE_FLOPS : 1) + (weights ? ACTIVATION_FLOPS + 1 : 0));
    around += skip === true ? rows * width : 0;
    elements += units * (width + columns + 1);
    taken += 1;
  }
  const bankBytes = elements * (bank?.element === "f16" ? 2 : 4) + taken * 16;
  return counted({ adapter: products, other: around }, trafficBytes({ ...call, inputs: others }, size) + bankBytes);
}

/** The table of tiles, with the mask, then all the products. */
function gradientLaunches(
  { inputs, attributes }: GradientCall,
  variant: AdapterVariant,
  device: DeviceTraits,
  capacity: SizeOf,
): Launch[] {
  const { input, slot, skip = false } = attributes;
  const weights = slot !== undefined;
  const widths = widthsOf(attributes);
  const rows = tileRows(variant, device);
  const tiles = tilesOf({ inputs }, rows);
  const scratch = { table: Math.max(tiles(capacity), 1) * TILE_WORDS };
  const table = flatLaunch({
    kernel: `${STEM}.table`,
    items: tiles,
    constants: { TILE_ROWS: rows, MAX_WIDTH: widths.maxWidth, HAS_MASK: weights },
    uniform: { segments: segmentCount(inputs.segments as TensorType), tiles, trained: slot ?? 0 },
  });
  const launch = adapterLaunch(STEM, { inputs }, widths, variant, device);
  const libs = [input ? "adapter-output-dx" : "adapter-no-dx", weights ? "adapter-output-units" : "adapter-no-units"];
  const products = {
    ...launch,
    constants: { ...launch.constants, SKIP: skip },
    libs: [...(launch.libs ?? []), ...libs],
  };
  return [
    { ...table, scratch },
    { ...products, scratch },
  ];
}
