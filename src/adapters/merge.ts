/** @file Merging: what an adapter does at linear maps as a change of the frozen matrices (MATHS §2.7). */

import { EngineError } from "../errors.ts";
import type { LinearMap } from "../sites/site.ts";
import { GROUPS, LINEAR_TABLES, vectorLayout } from "./pack-linear.ts";
import type { BottleneckEntry, PackedAdapter, ValueEntry } from "./packed.ts";
import { isBottleneck } from "./packed.ts";
import type { LinearStructure, MapGroup } from "./structure.ts";
import { multiply } from "./tensors.ts";

/** The change of one matrix product. */
export interface LinearChange {
  readonly layer: number;
  /** The maps that lie side by side in the matrix. */
  readonly maps: readonly LinearMap[];
  /** Something is added to the bias, so that there must be one. */
  readonly shifts: boolean;
  /** Changes W [out, in] and, where it is given, the bias [out] in place. */
  readonly apply: (weight: Float32Array, bias: Float32Array | null, outputs: number) => void;
}

/**
 * @returns the changes of all layers
 * @throws EngineError UNSUPPORTED for what is no change of a matrix: gates, scaled inputs, nothing at linear maps
 */
export function packedLinear(packed: PackedAdapter): LinearChange[] {
  const changes = packed.structure.layers.flatMap((layer, index) =>
    Object.entries(layer.linear).map(([group, structure]) => change(packed, index, group as MapGroup, structure)),
  );
  if (changes.length > 0) return changes;
  throw new EngineError("UNSUPPORTED", "the adapter has nothing at linear maps to merge", { where: "mergeAdapter" });
}

function change(packed: PackedAdapter, layer: number, group: MapGroup, structure: LinearStructure): LinearChange {
  if (structure.gate || structure.input) {
    const message = structure.gate ? "a gated module depends on its input" : "IA³ on inputs";
    throw new EngineError("UNSUPPORTED", `${message} and cannot be merged`, { where: structure.table });
  }
  const find = (suffix: string): BottleneckEntry | ValueEntry | undefined =>
    packed.entries.find((entry) => entry.table.name === `${structure.table}${suffix}`);
  const low = find(LINEAR_TABLES.lora);
  const vector = find(LINEAR_TABLES.vector);
  const shifts = shiftOf(low, vector, structure).some((value) => value !== 0);
  const apply: LinearChange["apply"] = (weight, bias, outputs) => {
    if (low !== undefined && isBottleneck(low)) addLowRank(low, weight, bias);
    if (vector !== undefined && !isBottleneck(vector)) scaleRows(vector, structure, { weight, bias, outputs });
  };
  return { layer, maps: GROUPS[group], shifts, apply };
}

/** What the adapter adds to the bias by itself. */
function shiftOf(
  low: BottleneckEntry | ValueEntry | undefined,
  vector: BottleneckEntry | ValueEntry | undefined,
  { shift }: LinearStructure,
): readonly number[] {
  const own = low !== undefined && isBottleneck(low) ? Array.from(low.upBias, (value) => low.scale * value) : [];
  if (!shift || vector === undefined || isBottleneck(vector)) return own;
  const outputs = own.length;
  const at = vectorLayout(outputs, 0).shift;
  return [...own, ...vector.data.subarray(at, at + outputs)];
}

function addLowRank(
  { up, down, upBias, table, width, scale }: BottleneckEntry,
  weight: Float32Array,
  bias: Float32Array | null,
): void {
  const delta = multiply(up, down, table.outputs, width, table.inputs);
  for (let at = 0; at < weight.length; at += 1) weight[at] = (weight[at] as number) + scale * (delta[at] as number);
  bias?.forEach((value, row) => (bias[row] = value + scale * (upBias[row] as number)));
}

function scaleRows(
  { data }: ValueEntry,
  { shift }: LinearStructure,
  { weight, bias, outputs }: { weight: Float32Array; bias: Float32Array | null; outputs: number },
): void {
  const inputs = weight.length / outputs;
  const layout = vectorLayout(outputs, inputs);
  for (let at = 0; at < weight.length; at += 1)
    weight[at] = (weight[at] as number) * (data[Math.floor(at / inputs)] as number);
  bias?.forEach((value, row) => {
    bias[row] = value * (data[row] as number) + (shift ? (data[layout.shift + row] as number) : 0);
  });
}
