/** @file What is timed, and how the numbers of the paper follow from times of it. */

import { pairedRatio } from "../../src/bench/statistics.ts";
import type { PaperShape } from "./published.ts";

/** A way to run the encoder. `dropped`: how many of the lowest layers have neither adapters nor fusion. */
export type Form =
  | { readonly kind: "bare" }
  | { readonly kind: "adapter"; readonly preset: "houlsby" | "pfeiffer" }
  | { readonly kind: "fusion"; readonly adapters: number; readonly dropped: number; readonly literal: boolean }
  | { readonly kind: "tasks"; readonly tasks: number; readonly dropped: number };

/** @returns the form in words: its identity within a group. */
export function formName(form: Form): string {
  if (form.kind === "bare") return "bare";
  if (form.kind === "adapter") return form.preset;
  const dropped = form.dropped === 0 ? "" : `, ${form.dropped} dropped`;
  if (form.kind === "tasks") return `${form.tasks} tasks${dropped}`;
  return `fusion of ${form.adapters}${form.literal ? ", literal" : ""}${dropped}`;
}

/** @returns how many copies of the batch are under way at once. */
export function copiesOf(form: Form): number {
  return form.kind === "tasks" ? form.tasks : 1;
}

/** A number of ours. Ratios are of throughput; `drop`, `slowdown` and their kin are percentages of run time. */
export type Measure =
  | { readonly kind: "training" }
  | { readonly kind: "adapter"; readonly shape: PaperShape; readonly preset: "houlsby" | "pfeiffer" }
  | {
      readonly kind: "fusion";
      readonly shape: PaperShape;
      readonly adapters: number;
      readonly over: "bare" | "pfeiffer";
    }
  | { readonly kind: "fusion-slowdown"; readonly shape: PaperShape }
  | { readonly kind: "fusion-drop"; readonly shape: PaperShape; readonly adapters: number }
  | { readonly kind: "fusion-literal"; readonly shape: PaperShape; readonly adapters: number }
  | { readonly kind: "tasks"; readonly shape: PaperShape; readonly tasks: number }
  | { readonly kind: "tasks-drop"; readonly shapes: readonly PaperShape[]; readonly tasks: number };

/** Layers of the paper's host: what a dropped layer is a share of. */
export const PAPER_LAYERS = 12;

/** Fewest and most adapters of the mean slowdown in table 10. */
const SLOWDOWN_RANGE = [2, 16] as const;

/** @returns how many of the lowest layers are dropped to find what one of them saves: the paper's five, or all but one. */
export function droppedLayers(layers: number): number {
  return Math.min(5, layers - 1);
}

const bare: Form = { kind: "bare" };
const pfeiffer: Form = { kind: "adapter", preset: "pfeiffer" };

function fusion(adapters: number, rest: { readonly dropped?: number; readonly literal?: boolean } = {}): Form {
  return { kind: "fusion", adapters, dropped: 0, literal: false, ...rest };
}

/** Forms whose times at a shape a number needs, all within one group. */
export interface Need {
  readonly group: string;
  readonly shape: PaperShape;
  readonly forms: readonly Form[];
}

function needAt(shape: PaperShape, forms: readonly Form[]): Need {
  const tasks = Math.max(...forms.map(copiesOf));
  const group = `${shape.length}/${shape.batch}${tasks > 1 ? `, ${tasks} tasks` : ""}`;
  return { group, shape, forms };
}

/** @returns what has to be timed on a host of so many layers; nothing for training. */
export function needsOf(measure: Measure, layers: number): readonly Need[] {
  const dropped = droppedLayers(layers);
  switch (measure.kind) {
    case "training":
      return [];
    case "adapter":
      return [needAt(measure.shape, [bare, { kind: "adapter", preset: measure.preset }])];
    case "fusion":
      return [needAt(measure.shape, [measure.over === "bare" ? bare : pfeiffer, fusion(measure.adapters)])];
    case "fusion-slowdown":
      return [
        needAt(
          measure.shape,
          SLOWDOWN_RANGE.map((adapters) => fusion(adapters)),
        ),
      ];
    case "fusion-drop":
      return [needAt(measure.shape, [fusion(measure.adapters), fusion(measure.adapters, { dropped })])];
    case "fusion-literal":
      return [needAt(measure.shape, [fusion(measure.adapters), fusion(measure.adapters, { literal: true })])];
    case "tasks":
      return [needAt(measure.shape, [bare, { kind: "tasks", tasks: measure.tasks, dropped: 0 }])];
    case "tasks-drop": {
      const { tasks } = measure;
      const forms: Form[] = [
        { kind: "tasks", tasks, dropped: 0 },
        { kind: "tasks", tasks, dropped },
      ];
      return measure.shapes.map((shape) => needAt(shape, forms));
    }
  }
}

/** @returns rows under way at once in the largest of the forms. */
export function tokensOf({ shape, forms }: Need): number {
  return shape.length * shape.batch * Math.max(...forms.map(copiesOf));
}

/** Samples of a form in a group, one per round; null where it was not timed. */
export type Samples = (group: string, form: Form) => readonly number[] | null;

/** @returns the number, or null where something that it needs was not timed. */
export function valueOf(measure: Measure, layers: number, samples: Samples): number | null {
  const needs = needsOf(measure, layers);
  const found = needs.map(({ group, forms }) => forms.map((form) => samples(group, form)));
  if (found.length === 0 || found.flat().some((one) => one === null || one.length === 0)) return null;
  const pairs = found as (readonly (readonly number[])[])[];
  const ratio = ([a, b]: readonly (readonly number[])[]): number => pairedRatio(a ?? [], b ?? []);
  const first = ratio(pairs[0] as (typeof pairs)[number]);
  switch (measure.kind) {
    case "training":
      return null;
    case "adapter":
    case "fusion":
    case "fusion-literal":
      // Time of the reference over time of the other: throughput.
      return first;
    case "tasks":
      // The reference runs one model per task, one after another.
      return measure.tasks * first;
    case "fusion-slowdown": {
      const [fewest, most] = SLOWDOWN_RANGE;
      return (100 * (1 / first - 1)) / (most - fewest);
    }
    case "fusion-drop":
    case "tasks-drop": {
      const shares = pairs.map((pair) => 1 - 1 / ratio(pair));
      const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
      // A layer's saving as a share of the paper's host: layers are alike, so fewer of them make it a larger share here.
      return (100 * mean * layers) / (droppedLayers(layers) * PAPER_LAYERS);
    }
  }
}
