/**
 * @file The ladder of variants of the matrix products, and the policy that orders those that can run. It asks for the device, the
 * widths and the capacity of rows R, never for a run's lengths.
 *
 * x·Wᵀ, with K the length of a sum:
 *
 * | variant  | needs                | first choice                                                          |
 * |----------|----------------------|-----------------------------------------------------------------------|
 * | skinny   | K % 4 = 0            | GPUs, R <= 4: reading W is the cost (1.4 × slower on SwiftShader)     |
 * | subgroup | K % 8 = 0, subgroups | software adapters from 16 rows, 32 columns and K = 64 on              |
 * | tiled    | K % 4 = 0, 256 lanes | GPUs                                                                  |
 * | register | K % 4 = 0            | software adapters below that: it compiles eight times faster          |
 * | naive    | nothing              | the other widths                                                      |
 * | f16      | K % 4 = 0, shader-f16, 256 lanes | only where `compute` asks for it, and then nothing else   |
 *
 * x·W of the transposed form, with N the length of a sum and K columns, which lie side by side in W:
 *
 * | variant  | needs                           | first choice                                                |
 * |----------|---------------------------------|-------------------------------------------------------------|
 * | subgroup | N % 8 = 0, K % 8 = 0, subgroups | software adapters from R = 16, K = 16 on                    |
 * | tiled    | K % 4 = 0, 256 lanes            | GPUs; software adapters where N % 4 > 0, from N = 16 on     |
 * | register | N % 4 = 0, K % 4 = 0            | software adapters below that                                |
 * | naive    | nothing                         | the other widths                                            |
 */

import type { DeviceTraits } from "./op.ts";

/** A kernel of a product. The transposed form has its own of the same names. */
export type MatmulVariant = "naive" | "register" | "subgroup" | "tiled" | "skinny" | "f16";

/** What a choice depends on. */
export interface ProductSize {
  /** Rows of the result at capacity. */
  readonly rows: number;
  readonly columns: number;
  /** The length of a sum. */
  readonly inner: number;
}

/** Memory of a workgroup of the tiled kernels, of which `f16` takes 5120. */
export const TILED_BYTES = 8192;
/** Invocations of a workgroup of the tiled kernels. */
export const TILED_LANES = 256;

// Rows × columns of one workgroup of a kernel: a grid of tiles, row of tiles by row of tiles.
const REGISTER = { side: 8, lanes: { software: 16, hardware: 64 } };
const SUBGROUP = { rows: 64, columns: 32, quads: { software: 1, hardware: 16 } };
const TILED_SIDE = 64;
const SKINNY = { rows: 4, software: { lanes: 1, workgroup: 16 }, hardware: { lanes: 32, workgroup: 128 } };
const NAIVE_LANES = 64;
// Of a width that is no whole vector, such as the labels of a head: SwiftShader runs `tiled` four times as fast as `naive`.
const NAIVE_BEATS_TILED = TILED_SIDE / 4;

// Below these the one-off price of compiling `subgroup` (about a second on SwiftShader) is not earned back. The transposed form
// belongs to training, where every plan runs many times: there a short sum pays as well.
const SUBGROUP_PAYS = { rows: 16, columns: 32, inner: 64 };
const TRANSPOSED_PAYS = { rows: 16, columns: 16, inner: 8 };

/** Whether the tiled kernels fit a device. */
export function fitsTiles(device: DeviceTraits): boolean {
  return device.maxWorkgroupInvocations >= TILED_LANES && device.maxWorkgroupStorageBytes >= TILED_BYTES;
}

/** @returns the variants of x·Wᵀ in f32 that can run, best first. */
export function productVariants({ rows, columns, inner }: ProductSize, device: DeviceTraits): readonly MatmulVariant[] {
  if (inner === 0 || inner % 4 !== 0) return ["naive"];
  const large = rows >= SUBGROUP_PAYS.rows && columns >= SUBGROUP_PAYS.columns && inner >= SUBGROUP_PAYS.inner;
  const wide = ladder(device, { register: true, subgroup: device.subgroups && inner % 8 === 0 }, large);
  const few = !device.software && rows <= SKINNY.rows;
  return few ? ["skinny", ...wide, "naive"] : [...wide, "skinny", "naive"];
}

/** @returns the variants of x·W that can run, best first. */
export function transposedVariants(
  { rows, columns, inner }: ProductSize,
  device: DeviceTraits,
): readonly MatmulVariant[] {
  if (inner === 0 || columns % 4 !== 0) return ["naive"];
  const large = rows >= TRANSPOSED_PAYS.rows && columns >= TRANSPOSED_PAYS.columns && inner >= TRANSPOSED_PAYS.inner;
  const fits = { register: inner % 4 === 0, subgroup: device.subgroups && inner % 8 === 0 && columns % 8 === 0 };
  return withNaive(ladder(device, fits, large), device, inner);
}

/**
 * The variants for widths that are whole vectors, best first.
 * @param fits which variants can run of those that ask for more than that
 * @param large whether `subgroup` pays on software adapters
 */
export function ladder(
  device: DeviceTraits,
  fits: { readonly register: boolean; readonly subgroup: boolean },
  large: boolean,
): readonly MatmulVariant[] {
  const register: readonly MatmulVariant[] = fits.register ? ["register"] : [];
  const subgroup: readonly MatmulVariant[] = fits.subgroup ? ["subgroup"] : [];
  const tiled: readonly MatmulVariant[] = fitsTiles(device) ? ["tiled"] : [];
  if (!device.software) return [...tiled, ...register, ...subgroup];
  return large ? [...subgroup, ...register, ...tiled] : [...register, ...subgroup, ...tiled];
}

/**
 * Those variants and `naive`: last, but before `tiled` on software adapters where only that is left and it would leave most of a tile
 * empty or have few steps.
 * @param narrow the width that need not be whole vectors
 */
export function withNaive(
  others: readonly MatmulVariant[],
  device: DeviceTraits,
  narrow: number,
): readonly MatmulVariant[] {
  const first = device.software && !others.includes("register") && narrow < NAIVE_BEATS_TILED;
  return first ? ["naive", ...others] : [...others, "naive"];
}

/** Constants of a variant, and its workgroups for a number of result rows of so many columns. */
export function tiling(
  variant: MatmulVariant,
  device: DeviceTraits,
  columns: number,
): { readonly constants: Record<string, number>; readonly workgroups: (rows: number) => number } {
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
