/** @file The whole bottleneck adapter in one launch, its weights read from the slot of a bank that each segment names. */

import { EngineError } from "../errors.ts";
import { elementCount, expectDim, expectTensor, foldGrid, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, DeviceTraits, Dim, Op, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link adapter}. */
export interface AdapterAttributes extends Attributes {
  /** Width D of the rows. */
  readonly width: number;
  /** Room of a slot: the widest bottleneck B. */
  readonly maxWidth: number;
}

/** The slot number that means "no adapter". */
export const noSlot = 0xffffffff;

/**
 * Elements of a slot: down [B, D], up [D, B], down_bias [B], up_bias [D], padded to a multiple of 4.
 * @example adapterStride(768, 64) // 99136
 */
export function adapterStride(width: number, maxWidth: number): number {
  return Math.ceil((2 * width * maxWidth + maxWidth + width) / 4) * 4;
}

const ROWS_PER_LANE = 4; // of kernels/lib/adapter-tile.wgsl; a workgroup of adapter.tiled takes as many
// The bottleneck of 4 rows takes 16 bytes a unit, in tiles of 16 units, of WGSL's 8,192 bytes of private memory.
const WIDEST_IN_PRIVATE = 496;
const TILED_BYTES_PER_UNIT = 16;
const PORTABLE_LANES = { software: 4, hardware: 64 };
const SUBGROUP_LANES = { software: 4, hardware: 32 };
const TILED_LANES = { software: 16, hardware: 64 };

/**
 * x[R, D], residual?[R, D], bank[slots, stride] (f32 | f16, {@link adapterStride}), slots[slots, 4] u32 (active width b <= B,
 * activation code, bits of the f32 scale, reserved), segments[S + 1] u32, segment_slots[S] u32 ({@link noSlot} for none)
 * -> y[R, D] = residual + scale · (act(x Wdᵀ + cd) Wuᵀ + cu) (MATHS §2.2). Without `residual` it counts as 0. Units from b on are
 * ignored; b = 0 and no slot give y = residual.
 */
export const adapter: Op<AdapterAttributes> = {
  stem: "adapter",
  infer: (inputs, { width, maxWidth }) => {
    for (const [name, value] of [
      ["width", width],
      ["maxWidth", maxWidth],
    ] as const) {
      if (Number.isInteger(value) && value >= 1) continue;
      throw new EngineError("SHAPE", `adapter: ${name} is ${value}, expected a whole number from 1`, {
        where: `adapter.${name}`,
      });
    }
    const { shape } = expectTensor("adapter", "x", inputs.x, 2);
    expectDim("adapter", "x axis 1", shape[1], width);
    if (inputs.residual !== undefined) {
      const residual = expectTensor("adapter", "residual", inputs.residual, 2);
      expectDim("adapter", "residual axis 0", residual.shape[0], shape[0] as Dim);
      expectDim("adapter", "residual axis 1", residual.shape[1], width);
    }
    const bank = expectTensor("adapter", "bank", inputs.bank, 2, ["f32", "f16"]);
    expectDim("adapter", "bank axis 1", bank.shape[1], adapterStride(width, maxWidth));
    const slots = expectTensor("adapter", "slots", inputs.slots, 2, ["u32"]);
    expectDim("adapter", "slots axis 0", slots.shape[0], staticDim("adapter", "bank axis 0", bank.shape[0]));
    expectDim("adapter", "slots axis 1", slots.shape[1], 4);
    expectTensor("adapter", "segments", inputs.segments, 1, ["u32"]);
    expectTensor("adapter", "segment_slots", inputs.segment_slots, 1, ["u32"]);
    return { y: { shape: [shape[0] as Dim, width], element: "f32" } };
  },
  // Active widths are run-time data: the cost is that of full slots. The bank is read once per slot in use, at most all of it.
  cost: (call, size) => ({
    flops: 4 * call.attributes.maxWidth * elementCount(call.outputs.y as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: ({ attributes }, device) => adapterVariants(attributes, device),
  launch: ({ inputs, attributes }, variant, device) => {
    const kind = device.software ? "software" : "hardware";
    const lanes = { subgroup: SUBGROUP_LANES, portable: PORTABLE_LANES, tiled: TILED_LANES }[variant as AdapterVariant][
      kind
    ];
    const rowsPerTile = variant === "subgroup" ? ROWS_PER_LANE * lanes : ROWS_PER_LANE;
    const rows = inputs.x?.shape[0] as Dim;
    const segments = segmentCount(inputs.segments as TensorType);
    const tiles = (size: SizeOf): number =>
      size(rows) === 0 ? 0 : Math.floor(size(rows) / rowsPerTile) + segments(size);
    const constants = {
      WIDTH: attributes.width,
      MAX_WIDTH: attributes.maxWidth,
      STRIDE: adapterStride(attributes.width, attributes.maxWidth),
      HAS_RESIDUAL: inputs.residual !== undefined,
      WORKGROUP: lanes,
    };
    return [
      {
        kernel: variant === "portable" ? "adapter" : `adapter.${variant}`,
        constants,
        libs: weightLibraries(variant, attributes, inputs.bank?.element === "f16"),
        uniform: { segments, tiles },
        grid: (size) => foldGrid(variant === "portable" ? Math.ceil(tiles(size) / lanes) : tiles(size)),
      },
    ];
  },
};

type AdapterVariant = "subgroup" | "portable" | "tiled";

/**
 * `subgroup` and `portable` keep a bottleneck in private memory, which suits a software adapter; `tiled` spreads few rows over
 * many invocations, which a GPU needs to be busy at all, and takes any width.
 */
function adapterVariants(attributes: AdapterAttributes, device: DeviceTraits): readonly AdapterVariant[] {
  const inPrivate: AdapterVariant[] = [];
  if (inItems(attributes) && attributes.maxWidth <= WIDEST_IN_PRIVATE) {
    if (device.subgroups) inPrivate.push("subgroup");
    inPrivate.push("portable");
  }
  const fits = attributes.maxWidth * TILED_BYTES_PER_UNIT <= device.maxWorkgroupStorageBytes;
  const tiled: AdapterVariant[] = fits ? ["tiled"] : [];
  return device.software ? [...inPrivate, ...tiled] : [...tiled, ...inPrivate];
}

/** Rows, weights and biases all start at multiples of four elements. */
function inItems({ width, maxWidth }: AdapterAttributes): boolean {
  return width % 4 === 0 && maxWidth % 4 === 0;
}

function weightLibraries(variant: string, attributes: AdapterAttributes, half: boolean): readonly string[] {
  if (variant !== "tiled") return [half ? "weight-f16" : "weight-f32"];
  const item = inItems(attributes) ? "vec4" : "scalar";
  return [`item-${item}`, half ? `word-f16-${item}` : "word-f32"];
}
