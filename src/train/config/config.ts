/** @file The configuration of a training: one JSON file, checked field by field (docs/training.md describes each). */

import type { FusionDropout } from "../../adapters/evaluate/dropout.ts";
import { documented, flagField, objectField, optionalField, optionalText, refuseField } from "../../inputs/fields.ts";
import { textField, wholeField } from "../../inputs/fields.ts";
import { modelFields, modelPlace } from "../../inputs/model-place.ts";
import type { ModelPlace } from "../../inputs/model-place.ts";
import { dataField } from "./data.ts";
import type { DataConfig } from "./data.ts";
import { adaptersField, fusionsField, headField, routingField, targetsField } from "./parts.ts";
import type { FusionPlan, HeadPlan, PartPlace, RoutingPlan, TargetPlan } from "./parts.ts";
import {
  batchField,
  checkpointField,
  dropField,
  evaluationField,
  fusionDropoutField,
  lengthField,
  objectiveField,
  optimizerField,
  scheduleField,
  shareField,
} from "./run.ts";
import type {
  BatchPlan,
  CheckpointPlan,
  DropPlan,
  EvaluationPlan,
  LengthPlan,
  ObjectivePlan,
  SchedulePlan,
} from "./run.ts";
import type { OptimizerSettings } from "../optimizer.ts";

/** A checked configuration with all defaults filled in. */
export interface TrainConfig {
  readonly name: string;
  readonly model: ModelPlace & {
    /** The seed of fresh weights; null: those of the folder. */
    readonly fresh: number | null;
  };
  readonly data: DataConfig;
  readonly adapters: Readonly<Record<string, PartPlace>>;
  readonly fusions: readonly FusionPlan[];
  /** The composition that runs, as text; null for the bare model. */
  readonly active: string | null;
  readonly head: HeadPlan;
  readonly train: TargetPlan;
  readonly routing: RoutingPlan | null;
  readonly objective: ObjectivePlan;
  readonly optimizer: OptimizerSettings;
  readonly schedule: SchedulePlan;
  readonly batch: BatchPlan;
  readonly length: LengthPlan;
  /** The rate that stands in for the dropout of heads and adapters made here; null leaves theirs. */
  readonly dropout: number | null;
  /** The rate of the host's embeddings and of what its sub-layers give. */
  readonly hostDropout: number;
  /** Leaves whole adapters out of the fusions that are trained. */
  readonly fusionDropout: FusionDropout | null;
  readonly adapterDrop: DropPlan | null;
  /** Layers are computed again on the way back in place of being kept: less memory, more time, the same bits. */
  readonly recompute: boolean;
  /** What enters the lowest trained layer is computed once, where it is the same in every epoch. */
  readonly cache: boolean;
  readonly seed: number;
  readonly evaluation: EvaluationPlan;
  readonly checkpoint: CheckpointPlan;
  /** Steps per line of the metrics. */
  readonly log: number;
  readonly output: string | null;
}

const FIELDS = [
  "name",
  "model",
  "data",
  "adapters",
  "fusions",
  "active",
  "head",
  "train",
  "routing",
  "objective",
  "optimizer",
  "schedule",
  "batch",
  "epochs",
  "steps",
  "dropout",
  "hostDropout",
  "fusionDropout",
  "adapterDrop",
  "recompute",
  "cache",
  "seed",
  "evaluation",
  "checkpoint",
  "log",
  "output",
];

/** A seed that the generators take. */
export function seedField(value: unknown, where: string): number {
  const seed = wholeField(value, where, 0);
  return seed < 2 ** 32 ? seed : refuseField(where, value, "a whole number below 2^32");
}

function activeField(value: unknown, adapters: readonly string[], fusions: readonly FusionPlan[]): string | null {
  const given = optionalText(value, "active");
  if (given !== null) return given;
  const [fusion, ...more] = fusions;
  if (fusion !== undefined && more.length === 0) return `fuse(${fusion.names.join(",")})`;
  if (adapters.length > 1) refuseField("active", undefined, "a composition, since there are several adapters");
  return adapters[0] ?? null;
}

function dropoutOfFusions(value: unknown, trained: readonly string[]): FusionDropout | null {
  const dropout = optionalField(value, "fusionDropout", fusionDropoutField);
  if (dropout !== null && trained.length === 0) refuseField("fusionDropout", dropout, "nothing: no fusion is trained");
  return dropout;
}

/** Pruning is that of one fusion, of some of its adapters. */
function checkPruned({ pruned }: EvaluationPlan, fusions: readonly FusionPlan[]): void {
  if (pruned.length === 0) return;
  const [fusion, ...more] = fusions;
  if (fusion === undefined || more.length > 0)
    refuseField("evaluation.pruned", pruned, "nothing: there is not one fusion");
  const most = (fusion as FusionPlan).names.length;
  const wrong = pruned.find((keep) => keep > most);
  if (wrong !== undefined) refuseField("evaluation.pruned", wrong, `at most ${most}, the adapters of the fusion`);
}

function configFields(value: unknown, fallback: string): TrainConfig {
  const fields = objectField(value, "the training", FIELDS);
  const objective = objectiveField(fields.objective);
  const data = dataField(fields.data, objective.kind);
  const adapters = adaptersField(fields.adapters);
  const fusions = fusionsField(fields.fusions, Object.keys(adapters));
  const routing = optionalField(fields.routing, "routing", routingField);
  const model = modelPlace(fields.model, [...modelFields, "fresh"]);
  const { fresh } = fields.model as { readonly fresh?: unknown };
  const made = { adapters: Object.keys(adapters), fusions, routing };
  const train = targetsField(fields.train, made, objective.kind);
  const evaluation = evaluationField(fields.evaluation, objective.kind);
  checkPruned(evaluation, fusions);
  return {
    name: textField(fields.name ?? fallback, "name"),
    model: { ...model, fresh: optionalField(fresh, "model.fresh", seedField) },
    data,
    adapters,
    fusions,
    active: activeField(fields.active, made.adapters, fusions),
    head: headField(fields.head, objective.kind, made.adapters),
    train,
    routing,
    objective,
    optimizer: optimizerField(fields.optimizer),
    schedule: scheduleField(fields.schedule),
    batch: batchField(fields.batch),
    length: lengthField(fields.epochs, fields.steps),
    dropout: optionalField(fields.dropout, "dropout", shareField),
    hostDropout: shareField(fields.hostDropout ?? 0, "hostDropout"),
    fusionDropout: dropoutOfFusions(fields.fusionDropout, train.fusions),
    adapterDrop: optionalField(fields.adapterDrop, "adapterDrop", dropField),
    recompute: flagField(fields.recompute ?? false, "recompute"),
    cache: flagField(fields.cache ?? true, "cache"),
    seed: seedField(fields.seed ?? 0, "seed"),
    evaluation,
    checkpoint: checkpointField(fields.checkpoint),
    log: wholeField(fields.log ?? 1, "log", 1),
    output: optionalText(fields.output, "output"),
  };
}

/**
 * Checks a parsed configuration and fills in the defaults.
 * @param fallback the name of the training where the file gives none
 * @throws EngineError BAD_CONFIG naming the field
 */
export function readTrainConfig(value: unknown, fallback: string): TrainConfig {
  return documented("training.md", () => configFields(value, fallback));
}

/** @returns the text whose hash a checkpoint holds: everything that the bits of a training depend on. Names, paths, and what costs
 * time or memory alone, are left out. */
export function configIdentity(config: TrainConfig): string {
  const { name: _, output: __, log: ___, recompute: ______, model, data, ...rest } = config;
  const { folder: ____, ...loading } = model;
  const { sets: _____, ...reading } = data;
  return canonicalJson({ ...rest, model: loading, data: reading });
}

/** JSON with the fields of every object in alphabetical order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one !== "object" || one === null || Array.isArray(one)) return one;
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}
