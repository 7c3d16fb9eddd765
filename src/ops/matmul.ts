/**
 * @file The matrix product with everything that may surround it in one launch: rows read through a selection, bias,
 * activation, residual, results written through a selection onto a base.
 *
 * The ladder of variants, all of one semantics, and the policy that orders those that can run. It asks for the device, the
 * widths and the capacity of rows R, never for a run's lengths:
 *
 * | variant  | needs                | first choice                                                          |
 * |----------|----------------------|-----------------------------------------------------------------------|
 * | skinny   | K % 4 = 0            | GPUs, R <= 4: reading W is the cost (1.4 × slower on SwiftShader)     |
 * | subgroup | K % 8 = 0, subgroups | software adapters from 16 rows, 32 columns and K = 64 on              |
 * | tiled    | K % 4 = 0, 256 lanes | GPUs                                                                  |
 * | register | K % 4 = 0            | software adapters below that: it compiles eight times faster          |
 * | naive    | nothing              | the other widths                                                      |
 * | f16      | K % 4 = 0, shader-f16, 256 lanes | only where `compute` asks for it, and then nothing else   |
 */

import { EngineError } from "../errors.ts";
import { ACTIVATION_FLOPS, activationCode } from "./activation.ts";
import type { ActivationName } from "./activation.ts";
import { counted } from "./cost.ts";
import type { Cost } from "./cost.ts";
import { expectDim, expectTensor, foldGrid, staticDim } from "./op.ts";
import type { DeviceTraits, Dim, Lack, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";

/** Attributes of {@link matmul}. */
export interface MatmulAttributes {
  /** Applied to x·Wᵀ + bias; identity when absent. */
  readonly activation?: ActivationName;
  /** The first row of w (and element of bias) that takes part; 0 when absent. */
  readonly firstRow?: number;
  /** How many rows of w take part: the width of y; all that follow when absent. */
  readonly rowCount?: number;
  /**
   * Symbol of a run-time size: w and bias are then stacks, one slot after another, and the rows that take part are those of
   * the slot which that size names, counted from 0.
   */
  readonly slot?: string;
  /** Rows of one slot; `rowCount` when absent. Only with `slot`. */
  readonly slotRows?: number;
  /** What multiplies: f32 when absent. f16 needs the feature shader-f16; its error stands in kernels/matmul.f16.wgsl. */
  readonly compute?: "f32" | "f16";
  readonly [name: string]: string | number | undefined;
}

type Types = Readonly<Record<string, TensorType>>;
type Variant = "naive" | "register" | "subgroup" | "tiled" | "skinny" | "f16";

// Rows × columns of one workgroup of a kernel: a grid of tiles, row of tiles by row of tiles.
const REGISTER = { side: 8, lanes: { software: 16, hardware: 64 } };
const SUBGROUP = { rows: 64, columns: 32, quads: { software: 1, hardware: 16 } };
const TILED_SIDE = 64;
const TILED_BYTES = 8192; // of which `f16` takes 5120
const TILED_LANES = 256;
const SKINNY = { rows: 4, software: { lanes: 1, workgroup: 16 }, hardware: { lanes: 32, workgroup: 128 } };
const NAIVE_LANES = 64;

// Below these the one-off price of compiling `subgroup` (about a second on SwiftShader) is not earned back.
const SUBGROUP_PAYS = { rows: 16, columns: 32, inner: 64 };

/**
 * x[M, K], w[N, K] (f32 | f16), bias?[N], residual?[R, N'], gather?[R] u32, scatter?[R] u32, weight?[B], base?[B, N']
 * -> y[R, N'] = act(x[gather[r]] · Wᵀ + bias) + residual; with scatter y[B, N'] is base updated in place:
 * y[scatter[r]] += weight[scatter[r]] · v. N' rows of w from `firstRow` on take part, with `slot` from
 * `firstRow` + slot · `slotRows` on, where a slot past the last one is refused as the run starts; R = M without gather. A gathered
 * index past x stands for a row of zeros, a scattered one past base is skipped; scattered rows are distinct. f16 storage, f32 sums.
 */
export const matmul: Op<MatmulAttributes> = {
  stem: "matmul",
  infer: (inputs, attributes) => {
    if (attributes.activation !== undefined) activationCode(attributes.activation);
    const x = expectTensor("matmul", "x", inputs.x, 2);
    const inner = staticDim("matmul", "x axis 1", x.shape[1]);
    expectCompute(attributes.compute, inner);
    const w = expectTensor("matmul", "w", inputs.w, 2, ["f32", "f16"]);
    expectDim("matmul", "w axis 1", w.shape[1], inner);
    const columns = columnsOf(expectSlots(staticDim("matmul", "w axis 0", w.shape[0]), attributes), attributes);
    if (inputs.bias !== undefined)
      expectDim("matmul", "bias axis 0", expectTensor("matmul", "bias", inputs.bias, 1).shape[0], w.shape[0] as Dim);
    if (inputs.gather !== undefined) expectTensor("matmul", "gather", inputs.gather, 1, ["u32"]);
    const rows = rowsOf(inputs);
    if (inputs.residual !== undefined) expectMatrix("residual", inputs.residual, rows, columns);
    return { y: { shape: [inferTargets(inputs, rows, columns), columns], element: "f32" } };
  },
  cost: (call, size) => matmulCost(call, size),
  variants: (call, device, capacity) => matmulVariants(call, device, capacity),
  lacking: (call, device) => (call.attributes.compute === "f16" ? lackingForF16(device) : null),
  launch: (call, variant, device) => [matmulLaunch(call, variant as Variant, device)],
  inPlace: ({ inputs }) => (inputs.scatter === undefined ? {} : { y: "base" }),
};

/** The product, and apart from it the epilogue; of every input the rows that take part. */
function matmulCost(call: OpCall<MatmulAttributes>, size: SizeOf): Cost {
  const { inputs, attributes } = call;
  const { rows: dim, columns, inner } = extent(call);
  const rows = size(dim);
  const has = (name: string): number => (inputs[name] === undefined ? 0 : 1);
  const activated = attributes.activation === undefined ? 0 : ACTIVATION_FLOPS;
  const epilogue = has("bias") + activated + has("residual") + has("weight") + has("scatter");
  // y is written; where it is added to, it is read as well.
  const results = rows * columns * (1 + has("residual") + has("scatter"));
  const indices = rows * (has("gather") + has("scatter") + has("weight"));
  const weightBytes = columns * inner * (inputs.w?.element === "f16" ? 2 : 4);
  return counted(
    { matmul: 2 * rows * columns * inner, other: rows * columns * epilogue },
    4 * (rows * inner + columns * has("bias") + results + indices) + weightBytes,
  );
}

/** Checks the slots of a stack and gives the rows of one of them; without `slot` those are all rows. */
function expectSlots(weightRows: number, { slot, slotRows, rowCount }: MatmulAttributes): number {
  const refuse = (message: string): never => {
    throw new EngineError("SHAPE", `matmul: ${message}`, { where: "matmul.slotRows" });
  };
  if (slot === undefined) return slotRows === undefined ? weightRows : refuse("slotRows is given without slot");
  const rows = slotRows ?? rowCount ?? refuse("slot needs slotRows or rowCount");
  if (Number.isInteger(rows) && rows >= 1 && weightRows >= rows && weightRows % rows === 0) return rows;
  return refuse(`w axis 0 is ${weightRows}, expected a multiple of the ${rows} rows of a slot`);
}

/** The row of w, and element of bias, that gives column 0. */
function firstRowOf({ inputs, attributes }: OpCall<MatmulAttributes>): number | ((size: SizeOf) => number) {
  const { firstRow = 0, slot: symbol, slotRows = attributes.rowCount as number } = attributes;
  if (symbol === undefined) return firstRow;
  const slots = ((inputs.w as TensorType).shape[0] as number) / slotRows;
  return (size) => {
    const slot = size({ symbol, times: 1 });
    if (Number.isInteger(slot) && slot >= 0 && slot < slots) return firstRow + slot * slotRows;
    throw new EngineError("SHAPE", `matmul: ${symbol} is ${slot}, w has ${slots} slots`, { where: symbol });
  };
}

/** `weightRows` are all rows, or those of a slot. */
function columnsOf(
  weightRows: number,
  { slot, firstRow = 0, rowCount = weightRows - firstRow }: MatmulAttributes,
): number {
  const whole = Number.isInteger(firstRow) && Number.isInteger(rowCount);
  if (whole && firstRow >= 0 && rowCount >= 1 && firstRow + rowCount <= weightRows) return rowCount;
  const message = `matmul: rows ${firstRow} to ${firstRow + rowCount} are asked for, ${slot === undefined ? "w axis 0 is" : "a slot has"} ${weightRows}`;
  throw new EngineError("SHAPE", message, { where: "matmul.w" });
}

function expectCompute(compute: MatmulAttributes["compute"], inner: number): void {
  if (compute === undefined || compute === "f32") return;
  const refuse = (message: string, fix: string): never => {
    throw new EngineError("UNSUPPORTED", `matmul: ${message}`, { where: "matmul.compute", fix });
  };
  if (compute !== "f16") refuse(`cannot compute in ${String(compute)}`, 'use compute: "f32" or "f16"');
  if (inner > 0 && inner % 4 === 0) return;
  const fix = 'leave out compute: "f16", or pad the inner width with zeros to a multiple of 4';
  refuse(`compute: "f16" needs an inner width that is a multiple of 4, x axis 1 is ${inner}`, fix);
}

function lackingForF16(device: DeviceTraits): Lack | null {
  if (device.shaderF16 && fitsTiles(device)) return null;
  const message = device.shaderF16
    ? `compute: "f16" needs ${TILED_LANES} invocations and ${TILED_BYTES} bytes per workgroup`
    : 'compute: "f16" needs the feature shader-f16';
  return {
    message,
    fix: 'leave out compute: "f16", or open a device that has it; weights stored as f16 need no feature',
  };
}

function fitsTiles(device: DeviceTraits): boolean {
  return device.maxWorkgroupInvocations >= TILED_LANES && device.maxWorkgroupStorageBytes >= TILED_BYTES;
}

function rowsOf({ x, gather }: Types): Dim {
  return (gather ?? (x as TensorType)).shape[0] as Dim;
}

function expectMatrix(name: string, type: TensorType | undefined, rows: Dim, columns: number): void {
  const { shape } = expectTensor("matmul", name, type, 2);
  expectDim("matmul", `${name} axis 0`, shape[0], rows);
  expectDim("matmul", `${name} axis 1`, shape[1], columns);
}

/** Checks the scatter form and gives the rows of y. */
function inferTargets({ scatter, weight, base }: Types, rows: Dim, columns: number): Dim {
  if (scatter === undefined) {
    const lost = weight !== undefined ? "weight" : base !== undefined ? "base" : undefined;
    if (lost === undefined) return rows;
    throw new EngineError("SHAPE", `matmul without scatter does not take ${lost}`, { where: `matmul.${lost}` });
  }
  expectDim("matmul", "scatter axis 0", expectTensor("matmul", "scatter", scatter, 1, ["u32"]).shape[0], rows);
  const targets = expectTensor("matmul", "base", base, 2).shape[0] as Dim;
  expectMatrix("base", base, targets, columns);
  if (weight !== undefined)
    expectDim("matmul", "weight axis 0", expectTensor("matmul", "weight", weight, 1).shape[0], targets);
  return targets;
}

function extent({ inputs, outputs }: OpCall<MatmulAttributes>): { rows: Dim; columns: number; inner: number } {
  const columns = outputs.y?.shape[1] as number;
  return { rows: rowsOf(inputs), columns, inner: inputs.x?.shape[1] as number };
}

function matmulVariants(call: OpCall<MatmulAttributes>, device: DeviceTraits, capacity: SizeOf): readonly Variant[] {
  const { rows, columns, inner } = extent(call);
  if (call.attributes.compute === "f16") return lackingForF16(device) === null ? ["f16"] : [];
  if (inner === 0 || inner % 4 !== 0) return ["naive"];
  const large =
    capacity(rows) >= SUBGROUP_PAYS.rows && columns >= SUBGROUP_PAYS.columns && inner >= SUBGROUP_PAYS.inner;
  const subgroup: readonly Variant[] = device.subgroups && inner % 8 === 0 ? ["subgroup"] : [];
  const tiled: readonly Variant[] = fitsTiles(device) ? ["tiled"] : [];
  const wide: readonly Variant[] = device.software
    ? large
      ? [...subgroup, "register", ...tiled]
      : ["register", ...subgroup, ...tiled]
    : [...tiled, "register", ...subgroup];
  const few = !device.software && capacity(rows) <= SKINNY.rows;
  return few ? ["skinny", ...wide, "naive"] : [...wide, "skinny", "naive"];
}

function matmulLaunch(call: OpCall<MatmulAttributes>, variant: Variant, device: DeviceTraits): Launch {
  const { inputs, attributes } = call;
  const { rows, columns, inner } = extent(call);
  const flag = (name: string): number => (inputs[name] === undefined ? 0 : 1);
  const { constants, workgroups } = tiling(variant, device, columns);
  return {
    kernel: variant === "naive" ? "matmul" : `matmul.${variant}`,
    constants: { ...constants, ACTIVATION: activationCode(attributes.activation ?? "identity") },
    libs: [inputs.w?.element === "f16" ? "weight-f16" : "weight-f32"],
    uniform: {
      rows,
      columns,
      inner,
      first_row: firstRowOf(call),
      sources: inputs.x?.shape[0] as Dim,
      targets: call.outputs.y?.shape[0] as Dim,
      has_bias: flag("bias"),
      has_residual: flag("residual"),
      has_gather: flag("gather"),
      has_scatter: flag("scatter"),
      has_weight: flag("weight"),
    },
    grid: (size) => foldGrid(workgroups(size(rows))),
  };
}

/** Constants of a variant, and its workgroups for a number of rows. */
function tiling(
  variant: Variant,
  device: DeviceTraits,
  columns: number,
): { constants: Record<string, number>; workgroups: (rows: number) => number } {
  const kind = device.software ? "software" : "hardware";
  const tiles = (rows: number, height: number, width: number): number =>
    Math.ceil(rows / height) * Math.ceil(columns / width);
  switch (variant) {
    case "naive":
      return { constants: { WORKGROUP: NAIVE_LANES }, workgroups: (rows) => Math.ceil((rows * columns) / NAIVE_LANES) };
    case "register": {
      const lanes = REGISTER.lanes[kind];
      return {
        constants: { WORKGROUP: lanes },
        workgroups: (rows) => Math.ceil(tiles(rows, REGISTER.side, REGISTER.side) / lanes),
      };
    }
    case "subgroup": {
      const quads = SUBGROUP.quads[kind];
      return {
        constants: { QUADS: quads },
        workgroups: (rows) => Math.ceil(tiles(rows, SUBGROUP.rows, SUBGROUP.columns) / quads),
      };
    }
    case "tiled":
    case "f16":
      return { constants: {}, workgroups: (rows) => tiles(rows, TILED_SIDE, TILED_SIDE) };
    case "skinny": {
      const { lanes, workgroup } = SKINNY[kind];
      return {
        constants: { LANES: lanes, WORKGROUP: workgroup },
        workgroups: (rows) => tiles(rows, SKINNY.rows, workgroup / lanes),
      };
    }
  }
}
