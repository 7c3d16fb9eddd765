/**
 * @file The gradient of a matrix product with respect to its matrix: a sum of outer products over the rows of a batch.
 *
 * The variants, and the policy that orders those that can run. It asks for the device, the widths and the capacity of rows:
 *
 * | variant  | needs                                                        | first choice                                    |
 * |----------|--------------------------------------------------------------|-------------------------------------------------|
 * | subgroup | N, K, the width of dy, firstColumn multiples of 8; subgroups | software adapters from R = N = K = 16 on         |
 * | tiled    | K % 4 = 0, 256 lanes                                         | GPUs; software adapters for other N from 16 on  |
 * | register | N, K, the width of dy, firstColumn multiples of 4            | software adapters below that                    |
 * | naive    | nothing                                                      | the other widths                                |
 *
 * Where dw has too few tiles to fill a device, the rows are summed in parts by one launch and the parts by a second one. How many
 * there are follows from the capacity, so that a run of fewer rows adds the same numbers in the same order.
 */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import type { Cost } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { ladder, tiling, withNaive } from "./matmul-variants.ts";
import type { MatmulVariant } from "./matmul-variants.ts";
import { expectDim, expectTensor, foldGrid, staticDim } from "./op.ts";
import type { Attributes, DeviceTraits, Dim, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { itemLibrary } from "./row-launch.ts";

/** Attributes of {@link matmulWeightGradient}. */
export interface MatmulWeightGradientAttributes extends Attributes {
  /** The column of dy that gives row 0 of dw; 0 when absent. */
  readonly firstColumn?: number;
  /** How many columns of dy take part: the rows of dw; all that follow when absent. */
  readonly columnCount?: number;
}

type Call = OpCall<MatmulWeightGradientAttributes>;

const STEM = "matmul-weight-gradient";
// Below these the one-off price of compiling `subgroup` is not earned back, or too little of its tiles is used.
const SUBGROUP_PAYS = { rows: 16, height: 16, width: 16 };
// Rows of dw of an invocation of the plain variant.
const NAIVE_ROWS = 2;
// Rows of dw that are half a tile of `subgroup`, which then has half the work.
const NARROW = 32;
// Parts: as many as give a device so many workgroups, but none of fewer rows than it takes to be worth a launch of its own.
const WORKGROUPS_THAT_FILL = { software: 8, hardware: 512 };
const LEAST_ROWS_OF_PART = 128;
const DEPTH = 16; // rows of a step of the tiled kernel: parts are whole steps

/**
 * dy[R, W], x[M, K], gather?[R] u32 (rows of x; R = M without) -> dw[N, K] = dyᵀ · x[gather], of the N columns of dy from
 * `firstColumn` on. A gathered index past x leaves its row of dy out. Sums run over the rows in a fixed order.
 */
export const matmulWeightGradient: Op<MatmulWeightGradientAttributes> = {
  stem: STEM,
  infer: (inputs, attributes) => {
    const dy = expectTensor(STEM, "dy", inputs.dy, 2);
    const x = expectTensor(STEM, "x", inputs.x, 2);
    const { gather } = inputs;
    if (gather !== undefined) expectTensor(STEM, "gather", gather, 1, ["u32"]);
    expectDim(STEM, `${gather === undefined ? "x" : "gather"} axis 0`, (gather ?? x).shape[0], dy.shape[0] as Dim);
    const { height } = columnsOf(staticDim(STEM, "dy axis 1", dy.shape[1]), attributes);
    return { dw: { shape: [height, staticDim(STEM, "x axis 1", x.shape[1])], element: "f32" } };
  },
  cost: (call, size) => gradientCost(call, size),
  variants: (call, device, capacity) => gradientVariants(call, device, capacity),
  launch: (call, variant, device, capacity) => gradientLaunches(call, variant as MatmulVariant, device, capacity),
};

/** Checks which columns of dy take part. */
function columnsOf(
  stride: number,
  { firstColumn = 0, columnCount = stride - firstColumn }: MatmulWeightGradientAttributes,
): { first: number; height: number } {
  const whole = Number.isInteger(firstColumn) && Number.isInteger(columnCount);
  if (whole && firstColumn >= 0 && columnCount >= 1 && firstColumn + columnCount <= stride)
    return { first: firstColumn, height: columnCount };
  const message = `${STEM}: columns ${firstColumn} to ${firstColumn + columnCount} are asked for, dy axis 1 is ${stride}`;
  throw new EngineError("SHAPE", message, { where: `${STEM}.dy` });
}

/** The sizes of a call. */
function extent({ inputs, attributes }: Call): {
  readonly rows: Dim;
  readonly stride: number;
  readonly first: number;
  readonly height: number;
  readonly width: number;
} {
  const [rows, stride] = (inputs.dy as TensorType).shape as [Dim, number];
  return { rows, stride, ...columnsOf(stride, attributes), width: inputs.x?.shape[1] as number };
}

function gradientCost(call: Call, size: SizeOf): Cost {
  const { rows: dim, height, width } = extent(call);
  const rows = size(dim);
  const indices = call.inputs.gather === undefined ? 0 : rows;
  return counted({ matmul: 2 * rows * height * width }, 4 * (rows * (height + width) + indices + height * width));
}

function gradientVariants(call: Call, device: DeviceTraits, capacity: SizeOf): readonly MatmulVariant[] {
  const { rows, stride, first, height, width } = extent(call);
  if (width === 0 || width % 4 !== 0) return ["naive"];
  const divisible = (by: number): boolean => [stride, first, height, width].every((size) => size % by === 0);
  // `subgroup` binds 8 values at a time, of which an empty buffer is too short for one.
  const filled = capacity(rows) > 0 && capacity(call.inputs.x?.shape[0] as Dim) > 0;
  const fits = { register: divisible(4), subgroup: device.subgroups && filled && divisible(8) };
  const large = capacity(rows) >= SUBGROUP_PAYS.rows && height >= SUBGROUP_PAYS.height && width >= SUBGROUP_PAYS.width;
  return withNaive(ladder(device, fits, large), device, height);
}

/** How many parts the rows are summed in, and the rows of one. */
function partsOf(workgroups: number, capacity: number, device: DeviceTraits): { parts: number; span: number } {
  const fill = WORKGROUPS_THAT_FILL[device.software ? "software" : "hardware"];
  const wanted = Math.min(Math.floor(fill / workgroups), Math.floor(capacity / LEAST_ROWS_OF_PART));
  const span = Math.max(Math.ceil(capacity / Math.max(wanted, 1) / DEPTH), 1) * DEPTH;
  return { parts: Math.max(Math.ceil(capacity / span), 1), span };
}

function gradientLaunches(call: Call, variant: MatmulVariant, device: DeviceTraits, capacity: SizeOf): Launch[] {
  const { rows, stride, first, height, width } = extent(call);
  const items = itemsOf(width);
  const naive = variant === "naive";
  const { constants, workgroups } = tiling(variant, device, naive ? items : width);
  const each = workgroups(naive ? Math.ceil(height / NAIVE_ROWS) : height);
  const { parts, span } = partsOf(each, capacity(rows), device);
  const scratch = parts === 1 ? {} : { scratch: { partial: parts * height * width } };
  const [x, y] = foldGrid(each);
  const product: Launch = {
    kernel: naive ? STEM : `${STEM}.${variant}`,
    constants: { ...constants, ...(variant === "subgroup" ? { NARROW: height <= NARROW } : {}), PARTS: parts > 1 },
    ...(naive ? { libs: [itemLibrary(width)] } : {}),
    uniform: {
      rows,
      height,
      width,
      stride,
      first_column: first,
      sources: call.inputs.x?.shape[0] as Dim,
      has_gather: call.inputs.gather === undefined ? 0 : 1,
      span,
    },
    grid: () => [x, y, parts],
    ...scratch,
  };
  return parts === 1 ? [product] : [product, { ...sumLaunch(height * items, width, parts), ...scratch }];
}

/** Columns of dw, four at a time where that divides them. */
function itemsOf(width: number): number {
  return width % 4 === 0 ? width / 4 : width;
}

/** Adds the parts up. */
function sumLaunch(items: number, width: number, parts: number): Launch {
  return flatLaunch({ kernel: `${STEM}.sum`, items, libs: [itemLibrary(width)], uniform: { items, parts } });
}
