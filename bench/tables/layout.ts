/** @file The paper's tables as data: every column of theirs beside the number of ours that belongs to it. */

import type { Measure } from "./forms.ts";
import type { PaperShape, ShapeRow } from "./published.ts";
import {
  fusedCounts,
  shapeName,
  table1,
  table2,
  table3,
  table4,
  table9,
  table10,
  table11,
  table12,
  taskCounts,
  taskLength,
} from "./published.ts";

/** A cell: published text, or numbers of ours. */
export type Cell = string | readonly Measure[];

/** A table, or the half of it that is about training. */
export interface PaperTable {
  readonly number: number;
  readonly title: string;
  readonly columns: readonly string[];
  readonly lines: readonly (readonly Cell[])[];
}

const training: readonly Measure[] = [{ kind: "training" }];
const fusionShape: PaperShape = { length: 128, batch: 32 };

function ratio(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : value.toFixed(2);
}

function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `${value.toFixed(1)} %`;
}

/** @returns a number of ours as it is printed. */
export function formatMeasure({ kind }: Measure, value: number): string {
  return kind.endsWith("drop") || kind.endsWith("slowdown") ? percent(value) : ratio(value);
}

function adapterSpeeds(): PaperTable[] {
  const columns = ["length/batch", "Houlsby V100", "ours", "Pfeiffer V100", "ours"];
  const ours = (shape: PaperShape, preset: "houlsby" | "pfeiffer"): Measure[] => [{ kind: "adapter", shape, preset }];
  return [
    {
      number: 1,
      title: "inference, relative speed to the bare model",
      columns,
      lines: table1.map((row) => {
        const [houlsby, pfeiffer] = row.inference;
        return [shapeName(row), ratio(houlsby), ours(row, "houlsby"), ratio(pfeiffer), ours(row, "pfeiffer")];
      }),
    },
    {
      number: 1,
      title: "training, relative speed to full finetuning",
      columns,
      lines: table1.map((row) => {
        const [houlsby, pfeiffer] = row.training;
        return [shapeName(row), ratio(houlsby), training, ratio(pfeiffer), training];
      }),
    },
  ];
}

/** Batches whose mean table 2 is. */
const SHARED_BATCHES = [16, 32, 64];

function sharedLayers(): PaperTable {
  const shapes = SHARED_BATCHES.map((batch) => ({ length: taskLength, batch }));
  return {
    number: 2,
    title: "inference, speed-up per layer that simultaneous tasks share, mean of batch 16, 32, 64",
    columns: ["tasks", "V100", "ours"],
    lines: table2.map(({ tasks, speedUp }) => [
      String(tasks),
      percent(speedUp),
      [{ kind: "tasks-drop", shapes, tasks }],
    ]),
  };
}

function fusionSpeeds(): PaperTable[] {
  const columns = ["adapters", "to the bare model V100", "ours", "to one adapter V100", "ours"];
  return [0, 1].map((half) => ({
    number: 3,
    title: `${half === 0 ? "inference" : "training"}, AdapterFusion, relative speed, length 128, batch 32`,
    columns,
    lines: table3.map(({ adapters, full, single }) => {
      const ours = (over: "bare" | "pfeiffer"): readonly Measure[] =>
        half === 0 ? [{ kind: "fusion", shape: fusionShape, adapters, over }] : training;
      const at = 1 - half;
      return [String(adapters), ratio(full[at]), ours("bare"), ratio(single[at]), ours("pfeiffer")];
    }),
  }));
}

function fusionDrops(): PaperTable[] {
  const columns = ["adapters", "V100", "Titan X", "ours"];
  return (["inference", "training"] as const).map((half) => ({
    number: 4,
    title: `${half}, AdapterFusion, speed-up per dropped layer, length 128, batch 32`,
    columns,
    lines: table4.map((row) => {
      const { adapters } = row;
      const ours: readonly Measure[] =
        half === "inference" ? [{ kind: "fusion-drop", shape: fusionShape, adapters }] : training;
      return [String(adapters), percent(row[half][0]), percent(row[half][1]), ours];
    }),
  }));
}

function adapterSpeedsByShape(): PaperTable[] {
  const columns = ["length/batch", "Houlsby V100", "Titan X", "ours", "Pfeiffer V100", "Titan X", "ours"];
  const line = (row: ShapeRow, at: number, ours: (preset: "houlsby" | "pfeiffer") => readonly Measure[]): Cell[] => [
    shapeName(row),
    ratio(row.v100[at]),
    ratio(row.titanX[at]),
    ours("houlsby"),
    ratio(row.v100[at + 1]),
    ratio(row.titanX[at + 1]),
    ours("pfeiffer"),
  ];
  return [
    {
      number: 9,
      title: "inference, relative speed to the bare model",
      columns,
      lines: table9.map((row) => line(row, 2, (preset) => [{ kind: "adapter", shape: row, preset }])),
    },
    {
      number: 9,
      title: "training, relative speed to full finetuning",
      columns,
      lines: table9.map((row) => line(row, 0, () => training)),
    },
  ];
}

function fusionByShape(): PaperTable[] {
  const three = (what: string): string[] => [`${what} V100`, "Titan X", "ours"];
  const columns = ["length/batch", ...three("to bare"), ...three("to one adapter"), ...three("slowdown")];
  return [0, 1].map((half) => ({
    number: 10,
    title: `${half === 0 ? "inference" : "training"}, fusion of 2 adapters, and slowdown per further one (mean up to 16)`,
    columns,
    lines: table10.map((shape) => {
      const fusion = (over: "bare" | "pfeiffer"): Measure => ({ kind: "fusion", shape, adapters: 2, over });
      const measures: readonly Measure[] = [fusion("bare"), fusion("pfeiffer"), { kind: "fusion-slowdown", shape }];
      const cells = measures.flatMap((measure, index): Cell[] => {
        const at = 2 * index + 1 - half;
        const text = index === 2 ? percent : ratio;
        return [text(shape.v100[at]), text(shape.titanX[at]), half === 0 ? [measure] : training];
      });
      return [shapeName(shape), ...cells];
    }),
  }));
}

function taskSpeeds(): PaperTable {
  const batches = [...new Set(table11.map(({ batch }) => batch))];
  const published = (device: string, batch: number, at: number): string => {
    const cell = table11.find((row) => row.device === device && row.batch === batch)?.cells[at];
    return cell === undefined ? "–" : `${ratio(cell[0])}; ${percent(cell[1])}`;
  };
  return {
    number: 11,
    title:
      "inference, length 128, tasks at once: relative speed to bare models one after another; speed-up per dropped layer",
    columns: ["batch", "tasks", "V100", "Titan X", "CPU", "ours"],
    lines: batches.flatMap((batch) =>
      taskCounts.map((tasks, at): Cell[] => {
        const shape = { length: taskLength, batch };
        const theirs = ["V100", "Titan X", "CPU"].map((device) => published(device, batch, at));
        const ours: readonly Measure[] = [
          { kind: "tasks", shape, tasks },
          { kind: "tasks-drop", shapes: [shape], tasks },
        ];
        return [String(batch), String(tasks), ...theirs, ours];
      }),
    ),
  };
}

function iterativeFusion(): PaperTable {
  return {
    number: 12,
    title: "inference, relative speed of the iterative AdapterFusion to the parallel one (ours: literal to folded)",
    columns: ["length/batch", ...fusedCounts.flatMap((count) => [`${count}: V100`, "Titan X", "ours"])],
    lines: table12.map((shape) => [
      shapeName(shape),
      ...fusedCounts.flatMap((adapters, at): Cell[] => [
        ratio(shape.v100[at]),
        ratio(shape.titanX[at]),
        [{ kind: "fusion-literal", shape, adapters }],
      ]),
    ]),
  };
}

/** All tables in the paper's order; those with training columns come in two halves. */
export const paperTables: readonly PaperTable[] = [
  ...adapterSpeeds(),
  sharedLayers(),
  ...fusionSpeeds(),
  ...fusionDrops(),
  ...adapterSpeedsByShape(),
  ...fusionByShape(),
  taskSpeeds(),
  iterativeFusion(),
];

/** Numbers of the tables that are there. */
export const tableNumbers: readonly number[] = [...new Set(paperTables.map(({ number }) => number))];

/** @returns every number of ours in some tables. */
export function measuresOf(tables: readonly PaperTable[]): readonly Measure[] {
  return tables.flatMap(({ lines }) => lines.flat().flatMap((cell) => (typeof cell === "string" ? [] : [...cell])));
}
