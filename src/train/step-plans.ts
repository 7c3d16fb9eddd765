/** @file The plans of a training's steps and evaluations, and what they are run on. */

import { EngineError } from "../errors.ts";
import { withOrders } from "../graph/order.ts";
import { optimize } from "../graph/passes/optimize.ts";
import { layerSegments, recompute } from "../graph/passes/recompute.ts";
import type { Plan, RunResult } from "../graph/plan.ts";
import type { Graph } from "../graph/value.ts";
import { isTokenHead } from "../model/added-heads.ts";
import { ENTRY } from "../model/build.ts";
import type { DraftOptions } from "../model/build.ts";
import type { BuiltGraph, Lengths } from "../model/lengths.ts";
import type { Inside } from "../model/model.ts";
import { PlanCache } from "../model/plans.ts";
import type { NewPlan } from "../model/plans.ts";
import type { Ready, RunRequest } from "../model/runner.ts";
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
import type { StepPart, TrainerOptions } from "./trainer.ts";
import type { Trainable } from "./trainable.ts";

/** Name of the run-time input that what is drawn at random follows from: u32 [seed, pass]. */
export const SEED = "train.seed";

/** Targets of a part, checked and packed. */
export interface PartTargets {
  readonly data: Float32Array | Uint32Array;
  /** How many take part. */
  readonly count: number;
  /** The rows that a head of tokens is applied to; null for a head of sequences. */
  readonly rows: Uint32Array | null;
}

/** The head of a training. */
interface TrainedHead {
  readonly labels: number;
  readonly rows: "token" | "sequence";
  /** Its name among a model's results. */
  readonly result: string;
}

/** A step that may be run. */
export interface ReadyStep {
  readonly plan: Plan;
  readonly lengths: Lengths;
  readonly written: GradientTargets;
  /** @param pass the number of the forward pass */
  readonly run: (pass: number) => Promise<RunResult>;
}

/** A plan has room for a quarter more labelled tokens than the batch that it is made for, so that one with a few more needs none of its own. */
const ROW_ROOM = 1.25;

/** Builds, keeps and prepares steps and evaluations of one training. */
export class StepPlans {
  readonly #options: TrainerOptions;
  readonly #trainables: readonly Trainable[];
  readonly #optimizer: Optimizer;
  readonly #plans: PlanCache;
  readonly #head: TrainedHead;
  readonly #steps = new Map<string, { readonly built: BuiltGraph; readonly written: GradientTargets }>();
  readonly #evaluations = new Map<string, BuiltGraph>();

  constructor(
    { parts, heads }: Inside,
    options: TrainerOptions,
    trainables: readonly Trainable[],
    optimizer: Optimizer,
  ) {
    this.#options = options;
    this.#trainables = trainables;
    this.#optimizer = optimizer;
    this.#plans = new PlanCache(parts.gpu, parts.parameters);
    this.#head = headOf({ parts, heads }, options.head);
  }

  /** @throws EngineError BAD_INPUT for targets that the head cannot give, or of which none takes part */
  targetsOf({ request }: Inside, { input, targets }: StepPart): PartTargets {
    const { batch } = this.#request(request, input);
    const { labels, rows: kind } = this.#head;
    const { objective } = this.#options;
    const found =
      kind === "token"
        ? labelledTargets(objective, targets, { labels, rows: batch.rows.reduce((sum, count) => sum + count, 0) })
        : { ...targetsOf(objective, targets, { labels, rows: batch.rows.length }), rows: null };
    if (found.count > 0) return found;
    throw new EngineError("BAD_INPUT", "no target of the batch takes part", { where: "targets", fix: "leave it out" });
  }

  /** Prepares the step of a part whose targets are some of `divisor`. */
  async step(
    inside: Inside,
    part: StepPart,
    { divisor, targets }: { readonly divisor: number; readonly targets: PartTargets },
  ): Promise<ReadyStep> {
    const call = this.#request(inside.request, part.input);
    const ready = await inside.runner.ready(call);
    const { built, written } = this.#stepOf(ready);
    const { homes } = written;
    const { plan, lengths } = await this.#planOf(inside, { call, ready, built, homes, kind: "step", targets });
    const arrays = this.#arrays(built, part, { call, lengths, targets, divisor });
    const run = (pass: number): Promise<RunResult> => {
      const seeds = Uint32Array.of(this.#options.seed ?? 0, pass);
      return plan.run({ ...arrays, [SEED]: seeds }, lengths.sizes, { into: written.into });
    };
    return { plan, lengths, written, run };
  }

  /** Runs a part forward. */
  async evaluate(inside: Inside, part: StepPart, targets: PartTargets): Promise<RunResult> {
    const call = this.#request(inside.request, part.input);
    const ready = await inside.runner.ready(call);
    const built = this.#evaluationOf(ready);
    const { plan, lengths } = await this.#planOf(inside, { call, ready, built, kind: "evaluation", targets });
    return plan.run(this.#arrays(built, part, { call, lengths, targets, divisor: targets.count }), lengths.sizes);
  }

  async dispose(): Promise<void> {
    await this.#plans.dispose();
  }

  #request(request: Inside["request"], input: StepPart["input"]): RunRequest {
    return request(input, { outputs: [`heads.${this.#options.head}`] });
  }

  async #planOf(
    { runner }: Inside,
    of: Pick<NewPlan, "built" | "homes"> & { call: RunRequest; ready: Ready; kind: string; targets: PartTargets },
  ): Promise<{ plan: Plan; lengths: Lengths }> {
    const { call, ready, built, homes = new Map() } = of;
    const found = runner.lengthsOf(built, call, ready);
    const labelled = of.targets.rows?.length;
    const own = labelled === undefined ? {} : { [HEAD_ROW_COUNT.symbol]: labelled };
    const room = labelled === undefined ? {} : { [HEAD_ROW_COUNT.symbol]: Math.ceil(labelled * ROW_ROOM) };
    const lengths = { ...found, sizes: { ...found.sizes, ...own } };
    const plan = await this.#plans.get(`${of.kind} ${ready.key}`, lengths.sizes, () => ({
      built,
      homes,
      capacities: { ...runner.capacitiesOf(found, ready.signature), ...room },
    }));
    return { plan, lengths };
  }

  #arrays(
    { graph }: BuiltGraph,
    { entry }: StepPart,
    of: { call: RunRequest; lengths: Lengths; targets: PartTargets; divisor: number },
  ): Record<string, Float32Array | Uint32Array> {
    const { call, lengths, targets, divisor } = of;
    if (this.#options.from !== undefined && entry === undefined)
      throw new EngineError("BAD_INPUT", `the input of layer ${this.#options.from} is missing`, { where: "entry" });
    return withOrders(graph, {
      ...call.batch.arrays,
      ...lengths.inputs,
      ...(entry === undefined ? {} : { [ENTRY]: entry }),
      ...(targets.rows === null ? {} : { [HEAD_ROWS]: targets.rows }),
      [TARGETS]: targets.data,
      [DIVISOR]: Uint32Array.of(divisor),
    });
  }

  #stepOf(ready: Ready): { readonly built: BuiltGraph; readonly written: GradientTargets } {
    const known = this.#steps.get(ready.key);
    if (known !== undefined) return known;
    const { built, gradients } = buildStep(ready, this.#trainables, this.#objective(), {
      ...this.#draft(),
      passes: this.#options.recompute === true ? recomputing(ready) : optimize,
    });
    const made = { built, written: this.#optimizer.targetsOf(gradients) };
    this.#steps.set(ready.key, made);
    return made;
  }

  #evaluationOf(ready: Ready): BuiltGraph {
    const known = this.#evaluations.get(ready.key);
    if (known !== undefined) return known;
    const built = buildEvaluation(ready, this.#objective(), this.#head.result, this.#draft());
    this.#evaluations.set(ready.key, built);
    return built;
  }

  #objective() {
    return objectiveOf(this.#options.objective, this.#head.result);
  }

  #draft(): DraftOptions {
    return { from: this.#options.from, headRows: this.#head.rows === "token" ? labelledRows : undefined };
  }
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
