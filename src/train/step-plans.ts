/** @file The plans of a training's steps and evaluations, and what they are run on. */

import { EngineError } from "../errors.ts";
import { withOrders } from "../graph/order.ts";
import { optimize } from "../graph/passes/optimize.ts";
import { layerSegments, recompute } from "../graph/passes/recompute.ts";
import type { Plan, RunOptions, RunResult } from "../graph/plan.ts";
import type { Graph } from "../graph/value.ts";
import { isTokenHead } from "../model/added-heads.ts";
import { ENTRY } from "../model/build.ts";
import type { DraftOptions } from "../model/build.ts";
import type { BuiltGraph, Lengths } from "../model/lengths.ts";
import type { Inside } from "../model/model.ts";
import { PlanCache } from "../model/plans.ts";
import type { NewPlan } from "../model/plans.ts";
import type { Ready, RunRequest } from "../model/runner.ts";
import { derivedLeaves } from "./derived.ts";
import type { DerivedAdapter } from "./derived.ts";
import { buildDiagnosis, firstWrong } from "./diagnosis.ts";
import { lowestTrained } from "./entry.ts";
import { SEED, drawsOf, dropoutsOf } from "./dropouts.ts";
import { regularised, shareOf } from "./fusion-regulariser.ts";
import {
  DIVISOR,
  HEAD_ROWS,
  HEAD_ROW_COUNT,
  TARGETS,
  labelledRows,
  labelledTargets,
  objectiveOf,
  targetsOf,
} from "./objectives.ts";
import type { GradientTargets, Optimizer } from "./optimizer.ts";
import { buildEvaluation, buildStep } from "./step-graph.ts";
import type { Objective } from "./step-graph.ts";
import type { StepPart, TrainerOptions } from "./trainer.ts";
import type { Trainable } from "./trainable.ts";

/** Targets of a part, checked and packed. */
export interface PartTargets {
  readonly data: Float32Array | Uint32Array;
  /** How many take part. */
  readonly count: number;
  /** The rows that a head of tokens is applied to; null for a head of sequences. */
  readonly rows: Uint32Array | null;
}

/** A part whose input is packed and whose targets are checked: once, for all that is done with it. */
export interface PreparedPart {
  readonly part: StepPart;
  readonly call: RunRequest;
  readonly targets: PartTargets;
}

/** The head of a training. */
interface TrainedHead {
  readonly labels: number;
  readonly rows: "token" | "sequence";
  /** Its name among a model's results. */
  readonly result: string;
}

/** What a training trains, and the adapters whose slots are computed of some of it. */
export interface Trained {
  readonly trainables: readonly Trainable[];
  readonly derived: readonly DerivedAdapter[];
}

/** A step that may be run. */
export interface ReadyStep {
  readonly plan: Plan;
  readonly lengths: Lengths;
  readonly written: GradientTargets;
  /** @param pass the number of the forward pass */
  readonly run: (pass: number, options?: Pick<RunOptions, "profile">) => Promise<RunResult>;
}

/** A plan has room for a quarter more labelled tokens than the batch that it is made for, so that one with a few more needs none of its own. */
const ROW_ROOM = 1.25;

/** Builds, keeps and prepares steps and evaluations of one training. */
export class StepPlans {
  readonly #options: TrainerOptions;
  readonly #trained: Trained;
  readonly #optimizer: Optimizer;
  readonly #plans: PlanCache;
  readonly #head: TrainedHead;
  readonly #steps = new Map<string, { readonly built: BuiltGraph; readonly written: GradientTargets }>();
  readonly #evaluations = new Map<string, BuiltGraph>();

  constructor({ parts, heads }: Inside, options: TrainerOptions, trained: Trained, optimizer: Optimizer) {
    this.#options = options;
    this.#trained = trained;
    this.#optimizer = optimizer;
    this.#plans = new PlanCache(parts.gpu, parts.parameters);
    this.#head = headOf({ parts, heads }, options.head);
  }

  /** @throws EngineError BAD_INPUT for targets that the head cannot give, or of which none takes part */
  prepare({ request }: Inside, part: StepPart): PreparedPart {
    const call = this.#request(request, part.input);
    const { rows } = call.batch;
    const { labels, rows: kind } = this.#head;
    const { objective } = this.#options;
    const targets =
      kind === "token"
        ? labelledTargets(objective, part.targets, { labels, rows: rows.reduce((sum, count) => sum + count, 0) })
        : { ...targetsOf(objective, part.targets, { labels, rows: rows.length }), rows: null };
    if (targets.count > 0) return { part, call, targets };
    throw new EngineError("BAD_INPUT", "no target of the batch takes part", { where: "targets", fix: "leave it out" });
  }

  /** Prepares the step of a part whose targets are some of `divisor`. */
  async step(inside: Inside, prepared: PreparedPart, divisor: number): Promise<ReadyStep> {
    const ready = await inside.runner.ready(prepared.call);
    const { built, written } = this.#stepOf(ready, prepared.part);
    const { homes } = written;
    const { plan, lengths } = await this.#planOf(inside, prepared, { ready, built, homes, kind: "step" });
    const arrays = this.#arrays(built, prepared, lengths, divisor);
    const run: ReadyStep["run"] = (pass, options = {}) => {
      const drawn = this.#drawn(built, lengths, pass);
      return plan.run({ ...arrays, ...drawn }, lengths.sizes, { ...options, into: written.into });
    };
    return { plan, lengths, written, run };
  }

  /** The lowest layer in which a step trains something. Before anything is fused: a norm may score for the layer above it. */
  async lowest(inside: Inside, part: StepPart): Promise<number | null> {
    const ready = await inside.runner.ready(this.#request(inside.request, part.input));
    const { trainables, derived } = this.#trained;
    const plain = { ...this.#draft(part), derived, passes: (graph: Graph) => graph };
    const { built } = buildStep(ready, trainables, this.#stepObjective(ready), plain);
    const leaves = [...trainables, ...derivedLeaves(derived)];
    return lowestTrained(built.graph, leaves, ready.parts.host.shape.layers);
  }

  /** Runs a part once more, without any update. @returns its first value that is not finite, in words; null where all are */
  async diagnose(inside: Inside, prepared: PreparedPart, pass: number): Promise<string | null> {
    const ready = await inside.runner.ready(prepared.call);
    const draft = this.#stepDraft(ready, prepared.part);
    const graph = buildDiagnosis(ready, this.#trained, this.#stepObjective(ready), draft);
    const { built } = graph;
    const { plan, lengths } = await this.#planOf(inside, prepared, { ready, built, kind: "diagnosis" });
    const arrays = this.#arrays(built, prepared, lengths, prepared.targets.count);
    const { outputs } = await plan.run({ ...arrays, ...this.#drawn(built, lengths, pass) }, lengths.sizes);
    return firstWrong(graph, outputs);
  }

  /** Runs a part forward. */
  async evaluate(inside: Inside, prepared: PreparedPart): Promise<RunResult> {
    const ready = await inside.runner.ready(prepared.call);
    const built = this.#evaluationOf(ready, prepared.part);
    const { plan, lengths } = await this.#planOf(inside, prepared, { ready, built, kind: "evaluation" });
    return plan.run(this.#arrays(built, prepared, lengths, prepared.targets.count), lengths.sizes);
  }

  async dispose(): Promise<void> {
    await this.#plans.dispose();
  }

  #request(request: Inside["request"], input: StepPart["input"]): RunRequest {
    return request(input, { outputs: [`heads.${this.#options.head}`] });
  }

  async #planOf(
    { runner }: Inside,
    { part, call, targets }: PreparedPart,
    of: Pick<NewPlan, "built" | "homes"> & { ready: Ready; kind: string },
  ): Promise<{ plan: Plan; lengths: Lengths }> {
    const { ready, built, homes = new Map() } = of;
    const found = runner.lengthsOf(built, call, ready);
    const labelled = targets.rows?.length;
    const own = labelled === undefined ? {} : { [HEAD_ROW_COUNT.symbol]: labelled };
    const room = labelled === undefined ? {} : { [HEAD_ROW_COUNT.symbol]: Math.ceil(labelled * ROW_ROOM) };
    const lengths = { ...found, sizes: { ...found.sizes, ...own } };
    const plan = await this.#plans.get(`${of.kind} ${planKey(ready.key, part)}`, lengths.sizes, () => ({
      built,
      homes,
      capacities: { ...runner.capacitiesOf(found, ready.signature), ...room },
    }));
    return { plan, lengths };
  }

  #arrays(
    { graph }: BuiltGraph,
    { part: { entry }, call, targets }: PreparedPart,
    lengths: Lengths,
    divisor: number,
  ): Record<string, Float32Array | Uint32Array> {
    return withOrders(graph, {
      ...call.batch.arrays,
      ...lengths.inputs,
      ...(entry === undefined ? {} : { [ENTRY]: entry.hidden }),
      ...(targets.rows === null ? {} : { [HEAD_ROWS]: targets.rows }),
      [TARGETS]: targets.data,
      [DIVISOR]: Uint32Array.of(divisor),
    });
  }

  /** What is drawn at random for a pass, and what the device draws from. */
  #drawn({ graph }: BuiltGraph, { sizes }: Lengths, pass: number): Record<string, Float32Array | Uint32Array> {
    const seeds = [this.#options.seed ?? 0, pass] as const;
    return { ...drawsOf(graph, sizes, seeds), [SEED]: Uint32Array.from(seeds) };
  }

  #stepDraft({ parts }: Ready, part: StepPart): DraftOptions {
    return { ...this.#draft(part), dropout: dropoutsOf(parts.host, this.#options.dropout) };
  }

  #stepOf(ready: Ready, part: StepPart): { readonly built: BuiltGraph; readonly written: GradientTargets } {
    const key = planKey(ready.key, part);
    const known = this.#steps.get(key);
    if (known !== undefined) return known;
    const { trainables, derived } = this.#trained;
    const { built, gradients } = buildStep(ready, trainables, this.#stepObjective(ready), {
      ...this.#stepDraft(ready, part),
      derived,
      passes: this.#options.recompute === true ? recomputing(ready) : optimize,
    });
    const made = { built, written: this.#optimizer.targetsOf(gradients) };
    this.#steps.set(key, made);
    return made;
  }

  #evaluationOf(ready: Ready, part: StepPart): BuiltGraph {
    const key = planKey(ready.key, part);
    const known = this.#evaluations.get(key);
    if (known !== undefined) return known;
    const built = buildEvaluation(ready, this.#objective(), this.#head.result, this.#draft(part));
    this.#evaluations.set(key, built);
    return built;
  }

  /** The loss of a step: with the regulariser of the fusions that are trained. */
  #stepObjective({ parts }: Ready): Objective {
    const { objective, train } = this.#options;
    const values = (train.fusions ?? []).flatMap((name) => parts.fusions.regularisedOf(name));
    const share = shareOf(objective, this.#head.result);
    return regularised(this.#objective(), share, { values, width: parts.host.shape.width });
  }

  #objective() {
    return objectiveOf(this.#options.objective, this.#head.result);
  }

  #draft({ entry }: StepPart): DraftOptions {
    return { from: entry?.layer, headRows: this.#head.rows === "token" ? labelledRows : undefined };
  }
}

/** Parts that enter at another layer have other graphs. */
function planKey(key: string, { entry }: StepPart): string {
  return entry === undefined ? key : `${key} from ${entry.layer}`;
}

/** Fuses first: what is recomputed is what would have been kept. */
function recomputing({ parts }: Ready): (graph: Graph) => Graph {
  return (graph) => recompute(optimize(graph), layerSegments(parts.host.shape.layers));
}

function headOf({ parts, heads }: Pick<Inside, "parts" | "heads">, name: string): TrainedHead {
  if (name !== "default") {
    const config = heads.configOf(name);
    return { labels: config.num_labels, rows: isTokenHead(config) ? "token" : "sequence", result: "heads #0" };
  }
  const { head } = parts.host;
  if (head === null)
    throw new EngineError("UNKNOWN_NAME", "the checkpoint has no head of its own", {
      where: "train.head",
      fix: "add one with addHead",
    });
  return { labels: head.labels, rows: head.rows, result: "heads.default" };
}
