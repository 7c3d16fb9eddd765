/** @file The whole bottleneck adapter in one launch, its weights read from the slot of a bank that each segment names. */

import { EngineError } from "../errors.ts";
import { ACTIVATION_FLOPS, activationCodes } from "./activation.ts";
import { counted, lengthOf } from "./cost.ts";
import type { Cost, ReadTable } from "./cost.ts";
import { expectDim, expectTensor, foldGrid, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, DeviceTraits, Dim, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link adapter}. */
export interface AdapterAttributes extends Attributes {
  /** Width D of the rows of x. */
  readonly width: number;
  /** Room of a slot: the widest bottleneck B. */
  readonly maxWidth: number;
  /** Rows E of the up projection; D when absent. */
  readonly outWidth?: number;
  /** The first row of the up projection (and element of its bias) that takes part; 0 when absent. */
  readonly firstColumn?: number;
  /** How many rows of the up projection take part: the width C of y; all that follow when absent. */
  readonly columnCount?: number;
}

/** The slot number that means "no adapter". */
export const noSlot = 0xffffffff;

/**
 * Elements of a slot: down [B, D], up [E, B], down_bias [B], up_bias [E], padded to a multiple of 4.
 * @example adapterStride(768, 64) // 99136
 */
export function adapterStride(width: number, maxWidth: number, outWidth: number = width): number {
  return Math.ceil(((width + outWidth) * maxWidth + maxWidth + outWidth) / 4) * 4;
}

/** The widths of a call: D of x, B of a slot, E of the up projection and C of its rows from `first` on. */
export interface Widths {
  readonly width: number;
  readonly maxWidth: number;
  readonly outWidth: number;
  readonly first: number;
  readonly columns: number;
}

/** @returns the widths of a call, as its attributes give them. */
export function widthsOf({
  width,
  maxWidth,
  outWidth = width,
  firstColumn = 0,
  columnCount,
}: AdapterAttributes): Widths {
  return { width, maxWidth, outWidth, first: firstColumn, columns: columnCount ?? outWidth - firstColumn };
}

const SLOT_WORDS = 4;
const ROWS_PER_LANE = 4; // of kernels/lib/adapter-tile.wgsl; a workgroup of adapter.tiled takes as many
// The bottleneck of 4 rows takes 16 bytes a unit, in tiles of 16 units, of WGSL's 8,192 bytes of private memory.
const WIDEST_IN_PRIVATE = 496;
const TILED_BYTES_PER_UNIT = 16;
// Of kernels/adapter.quad.wgsl: rows of a quad, units of a pass, and the units that 8,192 bytes of private memory hold.
const QUAD = { rows: 64, units: 32, widest: 96, quads: { software: 1, hardware: 8 } };
// Below these the one-off price of compiling `quad` (1.7 s on SwiftShader) is not earned back.
const QUAD_PAYS = { rows: 16, width: 64 };
const PORTABLE_LANES = { software: 4, hardware: 64 };
const SUBGROUP_LANES = { software: 4, hardware: 32 };
const TILED_LANES = { software: 16, hardware: 64 };

/**
 * x[R, D], residual?[R, C], bank[slots, stride] (f32 | f16, {@link adapterStride}), slots[slots, 4] u32 (active width b <= B,
 * activation code, bits of the f32 scale, reserved), segments[S + 1] u32, segment_slots[S] u32 ({@link noSlot} for none)
 * -> y[R, C] = residual + scale · (act(x Wdᵀ + cd) Wuᵀ + cu)[firstColumn, +C] (MATHS §2.2, and §2.7 for LoRA). Without
 * `residual` it counts as 0. Units from b on are ignored; b = 0 and no slot give y = residual.
 */
export const adapter: Op<AdapterAttributes> = {
  stem: "adapter",
  infer: (inputs, attributes) => {
    const { width, maxWidth, outWidth, columns } = expectWidths(attributes);
    const { shape } = expectTensor("adapter", "x", inputs.x, 2);
    expectDim("adapter", "x axis 1", shape[1], width);
    if (inputs.residual !== undefined) {
      const residual = expectTensor("adapter", "residual", inputs.residual, 2);
      expectDim("adapter", "residual axis 0", residual.shape[0], shape[0] as Dim);
      expectDim("adapter", "residual axis 1", residual.shape[1], columns);
    }
    const bank = expectTensor("adapter", "bank", inputs.bank, 2, ["f32", "f16"]);
    expectDim("adapter", "bank axis 1", bank.shape[1], adapterStride(width, maxWidth, outWidth));
    const slots = expectTensor("adapter", "slots", inputs.slots, 2, ["u32"]);
    expectDim("adapter", "slots axis 0", slots.shape[0], staticDim("adapter", "bank axis 0", bank.shape[0]));
    expectDim("adapter", "slots axis 1", slots.shape[1], 4);
    expectTensor("adapter", "segments", inputs.segments, 1, ["u32"]);
    expectTensor("adapter", "segment_slots", inputs.segment_slots, 1, ["u32"]);
    return { y: { shape: [shape[0] as Dim, columns], element: "f32" } };
  },
  cost: (call, size, read) => adapterCost(call, size, usesOf(call, size, read)),
  variants: ({ inputs, attributes }, device, capacity) =>
    adapterVariants(widthsOf(attributes), device, capacity(inputs.x?.shape[0] as Dim)),
  launch: (call, variant, device) => [forwardLaunch(call, variant as AdapterVariant, device)],
};

/** Checks the attributes and gives the widths. */
function expectWidths(attributes: AdapterAttributes): Widths {
  const widths = widthsOf(attributes);
  for (const name of ["width", "maxWidth", "outWidth"] as const) {
    if (Number.isInteger(widths[name]) && widths[name] >= 1) continue;
    throw new EngineError("SHAPE", `adapter: ${name} is ${widths[name]}, expected a whole number from 1`, {
      where: `adapter.${name}`,
    });
  }
  const { first, columns, outWidth } = widths;
  const whole = Number.isInteger(first) && Number.isInteger(columns);
  if (whole && first >= 0 && columns >= 1 && first + columns <= outWidth) return widths;
  const message = `adapter: columns ${first} to ${first + columns} are asked for, outWidth is ${outWidth}`;
  throw new EngineError("SHAPE", message, { where: "adapter.firstColumn" });
}

/** A slot that takes part in a call. */
export interface SlotUse {
  /** Its number; only of known tables. */
  readonly slot?: number;
  /** Active width b. */
  readonly units: number;
  readonly activated: boolean;
  /** Rows of the segments that name it. */
  readonly rows: number;
}

/** The slots that segments name, from what the host knows of the tables; without that, every row has a full slot. */
export function usesOf({ inputs, attributes }: AdapterCall, size: SizeOf, read?: ReadTable): readonly SlotUse[] {
  const [segments, named, slots] = ["segments", "segment_slots", "slots"].map((role) => read?.(role));
  if (segments === undefined || named === undefined || slots === undefined) {
    const rows = size(inputs.x?.shape[0] as Dim);
    const full = { units: attributes.maxWidth, activated: true };
    const count = Math.min(size(inputs.bank?.shape[0] as Dim), size(inputs.segment_slots?.shape[0] as Dim));
    return Array.from({ length: count }, (_, slot) => ({ ...full, rows: slot === 0 ? rows : 0 }));
  }
  const rows = new Map<number, number>();
  named.forEach((slot, s) => {
    if (slot !== noSlot) rows.set(slot, (rows.get(slot) ?? 0) + lengthOf(segments, s));
  });
  return [...rows].map(([slot, count]) => {
    const at = SLOT_WORDS * slot;
    return { slot, units: slots[at] as number, activated: slots[at + 1] !== activationCodes.identity, rows: count };
  });
}

/**
 * 2·b·(D + C) a row with the width b of its own slot, and what is around the two products. Rows and tables are read once, and of the
 * bank the units and columns of the slots in use.
 */
function adapterCost(call: AdapterCall, size: SizeOf, uses: readonly SlotUse[]): Cost {
  const { width, columns } = widthsOf(call.attributes);
  const { bank, slots: _, ...others } = call.inputs;
  let products = 0;
  let around = 0;
  let elements = 0;
  for (const { units, activated, rows } of uses) {
    if (units === 0) continue;
    products += rows * 2 * units * (width + columns);
    // Bias and activation of every unit; bias, scale and residual of every column.
    around += rows * (units * (activated ? 1 + ACTIVATION_FLOPS : 1));
    around += rows * columns * (call.inputs.residual === undefined ? 2 : 3);
    elements += units * (width + columns + 1) + columns;
  }
  const bankBytes = elements * (bank?.element === "f16" ? 2 : 4) + uses.length * SLOT_WORDS * 4;
  return counted({ adapter: products, other: around }, trafficBytes({ ...call, inputs: others }, size) + bankBytes);
}

type LaneVariant = "subgroup" | "portable" | "tiled";
/** Who computes which rows: see {@link adapterVariants}. */
export type AdapterVariant = LaneVariant | "quad";
type AdapterCall = OpCall<AdapterAttributes>;

/** Tiles of so many rows that do not straddle segments, in which all rows find a place. */
export function tilesOf({ inputs }: Pick<OpCall, "inputs">, rowsPerTile: number): (size: SizeOf) => number {
  const rows = inputs.x?.shape[0] as Dim;
  const segments = segmentCount(inputs.segments as TensorType);
  return (size) => (size(rows) === 0 ? 0 : Math.floor(size(rows) / rowsPerTile) + segments(size));
}

/** @returns the rows of a tile of a variant: of one invocation of `portable`, of a workgroup of the others. */
export function tileRows(variant: AdapterVariant, device: DeviceTraits): number {
  const kind = device.software ? "software" : "hardware";
  if (variant === "quad") return QUAD.rows * QUAD.quads[kind];
  return variant === "subgroup" ? ROWS_PER_LANE * SUBGROUP_LANES[kind] : ROWS_PER_LANE;
}

/** The launch of a variant of an op on these inputs, `adapter` or its gradient; each adds constants and uniforms of its own. */
export function adapterLaunch(
  stem: string,
  { inputs }: Pick<OpCall, "inputs">,
  widths: Widths,
  variant: AdapterVariant,
  device: DeviceTraits,
): Launch {
  const { width, maxWidth, outWidth, first, columns } = widths;
  const kind = device.software ? "software" : "hardware";
  const half = inputs.bank?.element === "f16";
  const tiles = tilesOf({ inputs }, tileRows(variant, device));
  if (variant === "quad") {
    const uniform = { tiles, width, max_width: maxWidth, out_width: outWidth, first_column: first, columns };
    return {
      kernel: `${stem}.quad`,
      constants: { UNIT_BLOCKS: Math.ceil(maxWidth / QUAD.units), QUADS: QUAD.quads[kind] },
      libs: weightLibraries(variant, widths, half),
      uniform,
      grid: (size) => foldGrid(tiles(size)),
    };
  }
  const lanes = { subgroup: SUBGROUP_LANES, portable: PORTABLE_LANES, tiled: TILED_LANES }[variant][kind];
  const sizes = { WIDTH: width, MAX_WIDTH: maxWidth, OUT_WIDTH: outWidth, COLUMNS: columns };
  return {
    kernel: variant === "portable" ? stem : `${stem}.${variant}`,
    constants: { ...sizes, STRIDE: adapterStride(width, maxWidth, outWidth), WORKGROUP: lanes },
    libs: weightLibraries(variant, widths, half),
    uniform: { tiles, first_column: first },
    grid: (size) => foldGrid(variant === "portable" ? Math.ceil(tiles(size) / lanes) : tiles(size)),
  };
}

/** The residual is a constant where the kernel is compiled for its widths anyway, a number of the call in `quad`. */
function forwardLaunch(call: AdapterCall, variant: AdapterVariant, device: DeviceTraits): Launch {
  const launch = adapterLaunch("adapter", call, widthsOf(call.attributes), variant, device);
  const uniform = { ...launch.uniform, segments: segmentCount(call.inputs.segments as TensorType) };
  const hasResidual = call.inputs.residual !== undefined;
  return variant === "quad"
    ? { ...launch, uniform: { ...uniform, has_residual: hasResidual ? 1 : 0 } }
    : { ...launch, uniform, constants: { ...launch.constants, HAS_RESIDUAL: hasResidual } };
}

/**
 * `quad` does many rows at a time, and takes long to compile; `subgroup` and `portable` keep a bottleneck in private memory, which suits a software adapter; `tiled` spreads few rows over
 * many invocations, which a GPU needs to be busy at all, and takes any width.
 */
export function adapterVariants(widths: Widths, device: DeviceTraits, rows: number): readonly AdapterVariant[] {
  const inPrivate: AdapterVariant[] = [];
  if (inItems(widths) && widths.maxWidth <= WIDEST_IN_PRIVATE) {
    if (device.subgroups) inPrivate.push("subgroup");
    inPrivate.push("portable");
  }
  if (device.subgroups && fitsQuads(widths)) {
    const wide = widths.width + widths.columns >= 2 * QUAD_PAYS.width;
    if (device.software && rows >= QUAD_PAYS.rows && wide) inPrivate.unshift("quad");
    else inPrivate.push("quad");
  }
  const fits = widths.maxWidth * TILED_BYTES_PER_UNIT <= device.maxWorkgroupStorageBytes;
  const tiled: AdapterVariant[] = fits ? ["tiled"] : [];
  return device.software ? [...inPrivate, ...tiled] : [...tiled, ...inPrivate];
}

/** Rows, weights and biases start at multiples of eight elements, and a bottleneck of 64 rows fits in private memory. */
function fitsQuads(widths: Widths): boolean {
  return Object.values(widths).every((value) => value % 8 === 0) && widths.maxWidth <= QUAD.widest;
}

/** Rows, weights and biases all start at multiples of four elements. */
function inItems(widths: Widths): boolean {
  return Object.values(widths).every((value) => value % 4 === 0);
}

function weightLibraries(variant: string, widths: Widths, half: boolean): readonly string[] {
  if (variant !== "tiled") return [half ? "weight-f16" : "weight-f32"];
  const item = inItems(widths) ? "vec4" : "scalar";
  return [`item-${item}`, half ? `word-f16-${item}` : "word-f32"];
}
