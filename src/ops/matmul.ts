/**
 * @file The matrix product with everything that may surround it in one launch: rows read through a selection, bias,
 * activation, residual, results written through a selection onto a base. Its variants stand in matmul-variants.ts.
 */

import { EngineError } from "../errors.ts";
import { ACTIVATION_FLOPS, activationCode } from "./activation.ts";
import type { ActivationName } from "./activation.ts";
import { counted } from "./cost.ts";
import type { Cost } from "./cost.ts";
import { fitsTiles, productVariants, TILED_BYTES, TILED_LANES, tiling, transposedVariants } from "./matmul-variants.ts";
import type { MatmulVariant } from "./matmul-variants.ts";
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
  /**
   * x·W, with w as it stands, in place of x·Wᵀ: the rows of w that take part are then as many as x has columns, and the columns of y
   * and the elements of bias, which is no stack, those of w.
   */
  readonly transposed?: boolean;
  /** What multiplies: f32 when absent. f16 needs the feature shader-f16; its error stands in kernels/matmul.f16.wgsl. */
  readonly compute?: "f32" | "f16";
  readonly [name: string]: string | number | boolean | undefined;
}

type Types = Readonly<Record<string, TensorType>>;

/**
 * x[M, K], w[N, K] (f32 | f16), bias?[N], residual?[R, N'], gather?[R] u32, scatter?[R] u32, weight?[B], base?[B, N']
 * -> y[R, N'] = act(x[gather[r]] · Wᵀ + bias) + residual; with scatter y[B, N'] is base updated in place:
 * y[scatter[r]] += weight[scatter[r]] · v. N' rows of w from `firstRow` on take part, with `slot` from
 * `firstRow` + slot · `slotRows` on, where a slot past the last one is refused as the run starts; R = M without gather. A gathered
 * index past x stands for a row of zeros, a scattered one past base is skipped; scattered rows are distinct. f16 storage, f32 sums.
 * With `transposed` x[M, N'], bias?[K], residual?[R, K], base?[B, K] -> y[R, K] = act(x[gather[r]] · W + bias) + residual.
 */
export const matmul: Op<MatmulAttributes> = {
  stem: "matmul",
  infer: (inputs, attributes) => {
    if (attributes.activation !== undefined) activationCode(attributes.activation);
    const columns = inferColumns(inputs, attributes);
    if (inputs.gather !== undefined) expectTensor("matmul", "gather", inputs.gather, 1, ["u32"]);
    const rows = rowsOf(inputs);
    if (inputs.residual !== undefined) expectMatrix("residual", inputs.residual, rows, columns);
    return { y: { shape: [inferTargets(inputs, rows, columns), columns], element: "f32" } };
  },
  cost: (call, size) => matmulCost(call, size),
  variants: (call, device, capacity) => matmulVariants(call, device, capacity),
  lacking: (call, device) => (call.attributes.compute === "f16" ? lackingForF16(device) : null),
  launch: (call, variant, device) => [matmulLaunch(call, variant as MatmulVariant, device)],
  inPlace: ({ inputs }) => (inputs.scatter === undefined ? {} : { y: "base" }),
};

/** Checks x, w and bias and gives the columns of y. */
function inferColumns(inputs: Types, attributes: MatmulAttributes): number {
  const { transposed = false, compute } = attributes;
  const x = expectTensor("matmul", "x", inputs.x, 2);
  const inner = staticDim("matmul", "x axis 1", x.shape[1]);
  expectCompute(compute, inner, transposed);
  const w = expectTensor("matmul", "w", inputs.w, 2, ["f32", "f16"]);
  const [all, width] = [0, 1].map((axis) => staticDim("matmul", `w axis ${axis}`, w.shape[axis])) as [number, number];
  const taking = rowsTaking(expectSlots(all, attributes), attributes);
  if (transposed) expectDim("matmul", "x axis 1", inner, taking);
  else expectDim("matmul", "w axis 1", width, inner);
  if (inputs.bias !== undefined) {
    const bias = expectTensor("matmul", "bias", inputs.bias, 1);
    expectDim("matmul", "bias axis 0", bias.shape[0], transposed ? width : all);
  }
  return transposed ? width : taking;
}

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

/** The first row of w that takes part. */
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

/** How many rows of w take part; `weightRows` are all rows, or those of a slot. */
function rowsTaking(
  weightRows: number,
  { slot, firstRow = 0, rowCount = weightRows - firstRow }: MatmulAttributes,
): number {
  const whole = Number.isInteger(firstRow) && Number.isInteger(rowCount);
  if (whole && firstRow >= 0 && rowCount >= 1 && firstRow + rowCount <= weightRows) return rowCount;
  const message = `matmul: rows ${firstRow} to ${firstRow + rowCount} are asked for, ${slot === undefined ? "w axis 0 is" : "a slot has"} ${weightRows}`;
  throw new EngineError("SHAPE", message, { where: "matmul.w" });
}

function expectCompute(compute: MatmulAttributes["compute"], inner: number, transposed: boolean): void {
  if (compute === undefined || compute === "f32") return;
  const refuse = (message: string, fix: string): never => {
    throw new EngineError("UNSUPPORTED", `matmul: ${message}`, { where: "matmul.compute", fix });
  };
  if (compute !== "f16") refuse(`cannot compute in ${String(compute)}`, 'use compute: "f32" or "f16"');
  if (transposed) refuse('compute: "f16" does not go with transposed', 'leave out compute: "f16"');
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

function matmulVariants(
  call: OpCall<MatmulAttributes>,
  device: DeviceTraits,
  capacity: SizeOf,
): readonly MatmulVariant[] {
  const { transposed = false, compute } = call.attributes;
  if (compute === "f16") return lackingForF16(device) === null ? ["f16"] : [];
  const { rows, columns, inner } = extent(call);
  const size = { rows: capacity(rows), columns, inner };
  return transposed ? transposedVariants(size, device) : productVariants(size, device);
}

/** The file of a variant: `matmul.subgroup`, `matmul.transposed-subgroup`, and without a name for `naive`. */
function kernelOf(variant: MatmulVariant, transposed: boolean): string {
  const name = [...(transposed ? ["transposed"] : []), ...(variant === "naive" ? [] : [variant])].join("-");
  return name === "" ? "matmul" : `matmul.${name}`;
}

/** The libraries that write the results of a kernel which leaves the choice: eight columns at a time where widths allow it. */
function endOf(call: OpCall<MatmulAttributes>, variant: MatmulVariant): readonly string[] {
  const { inputs, attributes } = call;
  const { transposed = false, firstRow = 0, slot, slotRows = attributes.rowCount as number } = attributes;
  if (variant !== "subgroup" || transposed) return [];
  const { columns } = extent(call);
  const aligned = firstRow % 4 === 0 && (slot === undefined || slotRows % 4 === 0);
  const wide = columns % 8 === 0 && (inputs.bias === undefined || aligned);
  return wide ? ["matmul-epilogue-vec4", "quad-finish-vec4"] : ["matmul-epilogue", "quad-finish"];
}

function matmulLaunch(call: OpCall<MatmulAttributes>, variant: MatmulVariant, device: DeviceTraits): Launch {
  const { inputs, attributes } = call;
  const { transposed = false } = attributes;
  const { rows, columns, inner } = extent(call);
  const flag = (name: string): number => (inputs[name] === undefined ? 0 : 1);
  const { constants, workgroups } = tiling(variant, device, columns);
  return {
    kernel: kernelOf(variant, transposed),
    constants: { ...constants, ACTIVATION: activationCode(attributes.activation ?? "identity") },
    libs: [inputs.w?.element === "f16" ? "weight-f16" : "weight-f32", ...endOf(call, variant)],
    uniform: {
      rows,
      columns,
      inner,
      first_row: firstRowOf(call),
      first_bias: transposed ? 0 : firstRowOf(call),
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
