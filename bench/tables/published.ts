/**
 * @file Numbers of the AdapterDrop paper (Rücklé et al. 2021), tables 1 to 4 and 9 to 12, as data. Relative speeds are
 * throughput ratios, speed-ups and slowdowns are percentages of run time; null is a cell that the paper has not.
 */

type Cell = number | null;
/** Titan X comes with null as a whole where the paper has no row. */
type Cells = readonly Cell[];

/** Lengths of the batches that a table's rows stand for. */
export interface PaperShape {
  readonly length: number;
  readonly batch: number;
}

/** Sequence length and batch as tables print them. */
export function shapeName({ length, batch }: PaperShape): string {
  return `${length}/${batch}`;
}

/** One row of a table by sequence length and batch. */
export interface ShapeRow extends PaperShape {
  readonly v100: Cells;
  readonly titanX: Cells;
}

function rows(width: number, lines: readonly (readonly [number, number, Cells, Cells])[]): readonly ShapeRow[] {
  const full = (cells: Cells): Cells => Array.from({ length: width }, (_, index) => cells[index] ?? null);
  return lines.map(([length, batch, v100, titanX]) => ({ length, batch, v100: full(v100), titanX: full(titanX) }));
}

/** Table 1, V100: relative speed to full finetuning; Houlsby then Pfeiffer, training then inference. */
export const table1: readonly (PaperShape & { readonly training: Cells; readonly inference: Cells })[] = [
  { length: 128, batch: 16, training: [1.48, 1.57], inference: [0.94, 0.95] },
  { length: 128, batch: 32, training: [1.53, 1.6], inference: [0.94, 0.95] },
  { length: 512, batch: 16, training: [1.36, 1.41], inference: [0.96, 0.96] },
  { length: 512, batch: 32, training: [1.33, 1.37], inference: [0.96, 0.96] },
];

/** Table 2, V100: speed-up per shared layer of simultaneous tasks, in percent. */
export const table2: readonly { readonly tasks: number; readonly speedUp: number }[] = [
  { tasks: 2, speedUp: 4.3 },
  { tasks: 4, speedUp: 6.6 },
  { tasks: 8, speedUp: 7.8 },
  { tasks: 16, speedUp: 8.4 },
];

/** Table 3, V100, batch 32, length 128: AdapterFusion; training then inference, to full finetuning and to one adapter. */
export const table3: readonly { readonly adapters: number; readonly full: Cells; readonly single: Cells }[] = [
  { adapters: 2, full: [0.92, 0.64], single: [0.57, 0.68] },
  { adapters: 8, full: [0.53, 0.38], single: [0.33, 0.4] },
  { adapters: 16, full: [0.33, 0.24], single: [0.21, 0.26] },
];

/** Table 4, batch 32, length 128: AdapterFusion's speed-up per dropped layer in percent; V100 then Titan X. */
export const table4: readonly { readonly adapters: number; readonly inference: Cells; readonly training: Cells }[] = [
  { adapters: 2, inference: [3, 3.1], training: [6.3, 6.4] },
  { adapters: 4, inference: [4, 4.1], training: [6.8, 6.8] },
  { adapters: 8, inference: [5.2, 5.2], training: [7.3, 7.3] },
  { adapters: 16, inference: [6.3, 6.3], training: [7.8, null] },
];

/** Table 9: relative speed to full finetuning; training H, P, inference H, P. The paper's first cell is out of line. */
export const table9: readonly ShapeRow[] = rows(4, [
  [64, 16, [0.98, 1.7, 0.92, 0.94], [1.61, 1.69, 0.93, 0.94]],
  [64, 32, [1.7, 1.81, 0.94, 0.95], [1.48, 1.55, 0.93, 0.94]],
  [64, 64, [1.46, 1.54, 0.94, 0.95], [1.4, 1.46, 0.94, 0.94]],
  [64, 128, [1.48, 1.55, 0.95, 0.96], [1.37, 1.42, 0.94, 0.94]],
  [128, 16, [1.48, 1.57, 0.94, 0.95], [1.45, 1.52, 0.93, 0.94]],
  [128, 32, [1.53, 1.6, 0.94, 0.95], [1.38, 1.44, 0.94, 0.95]],
  [128, 64, [1.47, 1.53, 0.95, 0.96], [1.35, 1.4, 0.94, 0.95]],
  [128, 128, [1.42, 1.48, 0.95, 0.96], []],
  [256, 16, [1.42, 1.49, 0.94, 0.95], [1.34, 1.38, 0.94, 0.95]],
  [256, 32, [1.4, 1.46, 0.95, 0.96], [1.31, 1.36, 0.94, 0.96]],
  [256, 64, [1.4, 1.45, 0.95, 0.96], []],
  [512, 16, [1.36, 1.41, 0.96, 0.96], []],
  [512, 32, [1.33, 1.37, 0.96, 0.96], []],
]);

/**
 * Table 10: AdapterFusion with 2 adapters to full finetuning (training, inference), to one adapter (the same), and the
 * slowdown per further adapter in percent (the same).
 */
export const table10: readonly ShapeRow[] = rows(6, [
  [64, 16, [0.77, 0.62, 0.45, 0.66, 8.2, 10.6], [0.88, 0.62, 0.52, 0.66, 10.3, 10.2]],
  [64, 32, [1.03, 0.64, 0.57, 0.68, 12, 11.1], [0.8, 0.61, 0.52, 0.64, 11.2, 11]],
  [64, 64, [0.87, 0.64, 0.57, 0.67, 12.6, 12], [0.76, 0.61, 0.52, 0.65, 11.6, 11.4]],
  [128, 16, [0.91, 0.65, 0.58, 0.69, 12, 11], [0.8, 0.61, 0.53, 0.65, 10.9, 10.8]],
  [128, 32, [0.92, 0.64, 0.57, 0.68, 12.5, 11.8], [0.76, 0.62, 0.53, 0.66, 11.4, 11.1]],
  [128, 64, [0.87, 0.65, 0.57, 0.68, 12.5, 11.6], []],
  [256, 16, [0.88, 0.66, 0.59, 0.69, 12.1, 11.3], [0.77, 0.65, 0.56, 0.68, 10.8, 10.4]],
  [256, 32, [0.86, 0.68, 0.59, 0.7, 11.9, 11.3], []],
  [512, 16, [0.87, 0.69, 0.62, 0.72, 11.2, 10.1], []],
]);

/** Numbers of simultaneous tasks of table 11. */
export const taskCounts: readonly number[] = [2, 4, 8, 16];

/** Length of all sequences of tables 2 and 11. */
export const taskLength = 128;

/** A cell of table 11: relative speed, and speed-up per dropped layer in percent. */
export type TaskCell = readonly [speed: number, speedUp: number];

/** Table 11, length 128: parallel adapters against finetuned models one after another, by {@link taskCounts}. */
export const table11: readonly {
  readonly device: "V100" | "Titan X" | "CPU";
  readonly batch: number;
  readonly cells: readonly TaskCell[];
}[] = [
  {
    device: "V100",
    batch: 1,
    cells: [
      [1.25, 2.6],
      [1.97, 3.7],
      [2.8, 4.9],
      [2.97, 6.5],
    ],
  },
  {
    device: "V100",
    batch: 16,
    cells: [
      [1.13, 4.1],
      [1.14, 6.5],
      [1.2, 7.7],
      [1.16, 8.4],
    ],
  },
  {
    device: "V100",
    batch: 32,
    cells: [
      [1.08, 4.5],
      [1.14, 6.6],
      [1.11, 7.9],
      [1.11, 8.5],
    ],
  },
  {
    device: "V100",
    batch: 64,
    cells: [
      [1.08, 4.3],
      [1.05, 6.7],
      [1.06, 7.9],
      [1.06, 8.4],
    ],
  },
  {
    device: "Titan X",
    batch: 32,
    cells: [
      [1.07, 4.4],
      [1.09, 6.6],
      [1.09, 7.8],
      [1.06, 8.4],
    ],
  },
  {
    device: "CPU",
    batch: 1,
    cells: [
      [0.98, 4.2],
      [1.03, 6.5],
      [1.05, 7.7],
      [1.06, 8.4],
    ],
  },
];

/** Numbers of adapters of table 12. */
export const fusedCounts: readonly number[] = [2, 3, 5, 10];

/** Table 12: relative speed of the iterative AdapterFusion to the parallel one, by {@link fusedCounts}. */
export const table12: readonly ShapeRow[] = rows(4, [
  [100, 1, [0.93, 0.89, 0.77, 0.6], [0.94, 0.88, 0.76, 1.29]],
  [100, 16, [1.02, 1.12, 1.17, 1.27], [1.44, 1.58, 1.8, 2.14]],
  [100, 32, [1.01, 1.17, 1.23, 1.32], [1.48, 1.62, 1.85, 2.24]],
  [200, 1, [0.93, 0.88, 0.77, 0.52], [1.24, 1.37, 1.55, 1.87]],
  [200, 16, [1.01, 1.17, 1.23, 1.32], [1.46, 1.59, 1.82, 2.21]],
  [200, 32, [1, 1.18, 1.26, 1.34], [1.11, 1.17, null, null]],
  [300, 1, [0.93, 0.88, 0.91, 0.94], [1.37, 1.5, 1.7, 2.03]],
  [300, 16, [1, 1.16, 1.22, 1.32], [1.48, 1.63, 1.88, null]],
  [300, 32, [1, 1.2, 1.27, 1.36], []],
  [400, 1, [1.04, 1.09, 1.1, 1.1], [1.39, 1.51, 1.74, 2.08]],
  [400, 16, [1, 1.18, 1.25, 1.34], []],
  [400, 32, [1, 1.2, 1.27, null], []],
]);
