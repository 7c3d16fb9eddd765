/** @file What every evaluation at a site shares: the builder, the bank, run-time inputs by node of the program, small helpers. */

import { EngineError } from "../../errors.ts";
import type { GraphBuilder } from "../../graph/builder.ts";
import type { Value } from "../../graph/value.ts";
import { adapter } from "../../ops/adapter.ts";
import { countBelow } from "../../ops/count-below.ts";
import { elementwise } from "../../ops/elementwise.ts";
import { layerNorm } from "../../ops/layer-norm.ts";
import { runtimeDim } from "../../ops/op.ts";
import type { Dim, TensorType } from "../../ops/op.ts";
import { segmentAffine } from "../../ops/segment-affine.ts";
import { segmentCombine } from "../../ops/segment-combine.ts";
import { segmentGate } from "../../ops/segment-gate.ts";
import type { Selection } from "../../sites/site.ts";
import type { AdapterBank } from "../bank.ts";
import type { ScoreFactor } from "../fusion-build.ts";
import { fusionFactor, leaveOut, rateOf } from "./dropout.ts";
import type { Dropouts } from "./dropout.ts";
import type { Feed, Path, Stage, StageStep } from "../feeds.ts";
import type { FusionPlace, FusionSite } from "../fusion-sites.ts";
import type { Fusions } from "../fusions.ts";
import type { Program } from "../program.ts";

/** Names and lengths of a stage of the batch. */
export interface StageNames {
  readonly rows: Dim;
  readonly sequences: Dim;
  readonly offsets: Dim;
  readonly segments: string;
}

/** @returns the run-time names of a stage; those of the tokens are the host's own. */
export function stageNames(stage: Stage): StageNames {
  const prefix = stagePrefix(stage);
  const dim = (name: string): Dim => runtimeDim(`${prefix}${name}`);
  return { rows: dim("rows"), sequences: dim("sequences"), offsets: dim("offsets"), segments: `${prefix}segments` };
}

/** @returns what stands before the run-time names of a stage. */
export function stagePrefix(stage: Stage): string {
  return stage.map((step) => `${step}.`).join("");
}

/** The eps of norms that belong to an adapter: PyTorch's default (MATHS §2.1). */
const OWN_NORM_EPS = 1e-5;

/** The rows that an evaluation runs over, and whose segments they are. */
export interface Rows {
  readonly selection: Selection | null;
}

/** What a context is made with besides the program. */
export interface SiteOptions {
  readonly compat: boolean;
  readonly feeds: Map<string, Feed>;
  readonly fusions: Fusions;
  /** What a training step leaves out; null, or absent, elsewhere. */
  readonly dropout?: Dropouts | null;
  /** Stands before the names of run-time inputs, where two compositions meet in one graph. */
  readonly label?: string;
}

/** The state of a graph under construction, as far as adapters are concerned. */
export class SiteContext {
  readonly b: GraphBuilder;
  readonly bank: AdapterBank;
  readonly program: Program;
  /** Reproduces the quirks of the `adapters` library, version 1.2. */
  readonly compat: boolean;
  readonly #dropouts: Dropouts | null;
  readonly #fusions: Fusions;
  /** Run-time inputs that the graph reads, by name. */
  readonly feeds: Map<string, Feed>;
  readonly #label: string;
  #stage: StageStep[] = [];

  constructor(b: GraphBuilder, bank: AdapterBank, program: Program, options: SiteOptions) {
    this.b = b;
    this.bank = bank;
    this.program = program;
    this.compat = options.compat;
    this.feeds = options.feeds;
    this.#fusions = options.fusions;
    this.#dropouts = options.dropout ?? null;
    this.#label = options.label ?? "";
  }

  get stage(): Stage {
    return this.#stage;
  }

  get names(): StageNames {
    return stageNames(this.#stage);
  }

  /** Goes on with the rows that a step makes. */
  enter(step: StageStep): void {
    this.#stage = [...this.#stage, step];
  }

  /** Goes on with the rows that another context has come to. */
  follow(other: SiteContext): void {
    this.#stage = [...other.#stage];
  }

  /** A run-time input that a feed fills. */
  feed(name: string, shape: readonly Dim[], feed: Feed, element: TensorType["element"] = "u32"): Value {
    const path = `${stagePrefix(this.#stage)}${this.#label}${name}`;
    this.feeds.set(path, feed);
    return this.b.input(path, shape, element);
  }

  /** The table of the sequences of this stage. */
  get segments(): Value {
    const { names, stage } = this;
    if (stage.length > 0) this.feeds.set(names.segments, { kind: "rows-of", stage });
    return this.b.input(names.segments, [names.offsets], "u32");
  }

  /** The segments over which the slots, masks and weights of a node count. */
  segmentsOf(node: { readonly cut: { readonly name: string } | null }, path: Path, { selection }: Rows): Value {
    if (node.cut === null) return selection === null ? this.segments : selection.segments;
    const dim = runtimeDim(`${stagePrefix(this.stage)}${node.cut.name}.offsets`);
    const pieces = this.feed(`${node.cut.name}.segments`, [dim], { kind: "pieces", stage: this.stage, path });
    if (selection === null) return pieces;
    // Selected rows ascend, so a piece begins behind as many of them as lie below its first row.
    return this.b.op(countBelow, { sorted: selection.rows, bounds: pieces }, {}).y as Value;
  }

  #perSegment(node: { readonly cut: { readonly name: string } | null }): Dim {
    if (node.cut === null) return this.names.sequences;
    return runtimeDim(`${stagePrefix(this.stage)}${node.cut.name}.pieces`);
  }

  /** Slot of every segment at a leaf. */
  slots(leaf: Extract<Program, { kind: "leaf" }>, path: Path): Value {
    return this.feed(`slots.${path.join(".")}`, [this.#perSegment(leaf)], { kind: "slots", stage: this.stage, path });
  }

  /** 1 for the segments of a group, 0 for the others: [segments, 1]. */
  mask(node: Extract<Program, { kind: "choose" }>, path: Path, group: number): Value {
    const feed: Feed = { kind: "mask", stage: this.stage, path, group };
    return this.feed(`mask.${[...path, group].join(".")}`, [this.#perSegment(node), 1], feed, "f32");
  }

  /** The factor of a child of an average per segment, or what is left of 1: [segments, 1]. */
  weight(
    node: Extract<Program, { kind: "average" }>,
    path: Path,
    at: { child: number; factor: number; rest: boolean },
  ): Value {
    const feed: Feed = { kind: "weight", stage: this.stage, path, ...at };
    const name = `weight.${[...path, at.rest ? "rest" : at.child].join(".")}${at.factor === 1 ? "" : `×${at.factor}`}`;
    return this.feed(name, [this.#perSegment(node), 1], feed, "f32");
  }

  /** How a prepared fusion is computed at a place; null where it has nothing. */
  fusionAt(name: string, at: FusionPlace): FusionSite | null {
    return this.#fusions.siteOf(name, at);
  }

  /** The children of a fusion that were neither pruned nor dropped at a place. */
  keptAt({ fusion, children }: Extract<Program, { kind: "fuse" }>, at: FusionPlace): readonly number[] {
    return this.#fusions.keptAt(fusion.name, at, children.length);
  }

  /** The query of a fusion is the sub-layer's output as it came. */
  queryBeforeNorm(name: string): boolean {
    return this.#fusions.get(name).config.query_before_ln;
  }

  /** The rate at which a training step leaves out what a leaf has at a table; 0 elsewhere. */
  rateOf({ residents }: Extract<Program, { kind: "leaf" }>, table: string): number {
    return this.#dropouts === null ? 0 : rateOf(residents, table);
  }

  /** x with elements left out. Every place has a name of its own. */
  leaveOut(x: Value, rate: number, place: string): Value {
    return leaveOut(this.b, this.#dropouts, x, { rate, place: `${this.#label}${place}` });
  }

  /** Whether a training step leaves elements of the host's own values out. */
  get leavesHidden(): boolean {
    return (this.#dropouts?.hidden ?? 0) > 0;
  }

  /** A value of the host's own with elements left out. */
  leaveHidden(x: Value, place: string): Value {
    return this.leaveOut(x, this.#dropouts?.hidden ?? 0, place);
  }

  /** What a training step multiplies the scores of a fusion by; undefined where it does not. */
  fusionFactor(name: string, x: Value, adapters: number, site: FusionPlace & Rows): ScoreFactor | undefined {
    const { dropout_prob } = this.#fusions.get(name).config;
    return fusionFactor(this.b, this.#dropouts, {
      x,
      adapters,
      segments: site.selection?.segments ?? this.segments,
      sequences: this.names.sequences,
      rate: dropout_prob ?? this.#dropouts?.attention ?? 0,
      place: `${this.#label}layers.${site.layer}.${site.place}.fusion ${name}`,
    });
  }

  add(left: Value, right: Value): Value {
    return this.b.op(elementwise, { a: left, b: right }, { operation: "add" }).y as Value;
  }

  /** a + weight · b per segment. */
  addWeighted(a: Value | undefined, b: Value, weight: Value, segments: Value): Value {
    return this.b.op(segmentCombine, { a, b, weight, segments }, { mode: "add" }).y as Value;
  }

  /** b in the segments of the mask, a in the others. */
  choose(a: Value, b: Value, mask: Value, segments: Value): Value {
    return this.b.op(segmentCombine, { a, b, weight: mask, segments }, { mode: "choose" }).y as Value;
  }

  /** (x − mean) / √(variance + ε) per row. */
  normalise(x: Value): Value {
    const width = x.type.shape[1] as number;
    const inputs = {
      x,
      gamma: this.bank.constants.row(this.b, 1, width),
      beta: this.bank.constants.row(this.b, 0, width),
    };
    return this.b.op(layerNorm, inputs, { eps: OWN_NORM_EPS }).y as Value;
  }

  /** residual + A(x) with the slots of a table; without residual A(x) alone. */
  bottleneck(
    table: string,
    io: { readonly x: Value; readonly residual?: Value | undefined; readonly segments: Value; readonly slots: Value },
    columns?: { readonly outWidth: number; readonly first: number; readonly count: number },
  ): Value {
    const { bank, slots } = this.bank.values(this.b, table);
    const inputs = { x: io.x, residual: io.residual, bank, slots, segments: io.segments, segment_slots: io.slots };
    const width = io.x.type.shape[1] as number;
    const range =
      columns === undefined
        ? {}
        : { outWidth: columns.outWidth, firstColumn: columns.first, columnCount: columns.count };
    return this.b.op(adapter, inputs, { width, maxWidth: this.bank.room(table), ...range }).y as Value;
  }

  /** residual + x ⊙ scale + shift with vectors of a slot. */
  affine(
    table: string,
    io: { readonly x: Value; readonly residual?: Value | undefined; readonly segments: Value; readonly slots: Value },
    at: { readonly scaleAt?: number; readonly shiftAt?: number; readonly firstColumn?: number },
  ): Value {
    const { bank } = this.bank.values(this.b, table);
    const inputs = { x: io.x, residual: io.residual, bank, segments: io.segments, segment_slots: io.slots };
    return this.b.op(segmentAffine, inputs, at).y as Value;
  }

  /** Gates of every segment, the mean of σ(x w + c) over its rows: [segments, gates]. */
  gate(
    table: string,
    x: Value,
    gates: number,
    segments: Value,
    slots: Value,
    part: { readonly firstGate?: number; readonly slotGates?: number } = {},
  ): Value {
    const { bank } = this.bank.values(this.b, table);
    return this.b.op(segmentGate, { x, bank, segments, segment_slots: slots }, { gates, ...part }).y as Value;
  }
}

/** @returns the error of a combination that is refused on purpose. */
export function unsupported(message: string, where = "setActive"): EngineError {
  return new EngineError("UNSUPPORTED", message, { where });
}
