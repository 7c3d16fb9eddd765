/** @file A training from its data to what it leaves behind: everything between the command line and the loop. */

import type { Model } from "../../model/model.ts";
import { Batches, cutParts } from "../../train/batches.ts";
import type { TrainIdentity } from "../../train/checkpoint.ts";
import { scheduleOf } from "../../train/config/run.ts";
import { setNames } from "../../train/config/data.ts";
import type { SetName } from "../../train/config/data.ts";
import type { EncodeContext } from "../../train/data/encode.ts";
import { maskId } from "../../train/data/masking.ts";
import type { Masking } from "../../train/data/masking.ts";
import { partOf } from "../../train/data/part.ts";
import { readSets } from "../../train/data/sets.ts";
import type { TrainSets } from "../../train/data/sets.ts";
import { computeEntries } from "../../train/entry-sets.ts";
import type { Scores } from "../../train/evaluate/scores.ts";
import { measure, runLoop } from "../../train/loop.ts";
import type { LoopSet, LoopWork } from "../../train/loop.ts";
import type { LoopState } from "../../train/loop-state.ts";
import { Trainer } from "../../train/trainer.ts";
import { EngineError } from "../../errors.ts";
import type { Io } from "../command.ts";
import { startProgress } from "../progress.ts";
import type { Progress } from "../progress.ts";
import { hashedSource, identityOf } from "./identity.ts";
import type { TrainRequest } from "./options.ts";
import { saveTrained } from "./save.ts";
import { measureDropped, measurePruned } from "./measure.ts";
import type { ScoresBy } from "./measure.ts";
import { dropOf, setUp, trainerOptions } from "./setup.ts";
import { CheckpointStore, MetricsFile } from "./store.ts";
import type { Found } from "./store.ts";

/** What a training ended with. */
export interface TrainOutcome {
  readonly identity: TrainIdentity;
  readonly state: LoopState;
  readonly steps: number;
  readonly examples: Readonly<Record<SetName, number>>;
  readonly labels: readonly string[];
  readonly evaluation: Scores | null;
  readonly test: Scores | null;
  /** Scores of the test set without adapters in so many of the lowest layers. */
  readonly dropped: ScoresBy;
  /** Scores of the test set with so many adapters of the fusion. */
  readonly pruned: ScoresBy;
  readonly saved: readonly string[];
}

/** A model with its data, before anything is trained. */
interface Prepared {
  readonly sets: TrainSets;
  /** Those that have examples, in parts. */
  readonly parts: Readonly<Partial<Record<SetName, LoopSet>>>;
  readonly identity: TrainIdentity;
  readonly masking: Masking | null;
}

async function prepare(request: TrainRequest, model: Model, io: Io): Promise<Prepared> {
  const { config, root } = request;
  const say = (line: string): unknown => io.stderr.write(`${line}\n`);
  const context = await model.exclusive(({ parts }): EncodeContext => ({
    shape: parts.host.shape,
    tokenizer: parts.tokenizer,
  }));
  const source = hashedSource(root);
  const sets = await readSets(config.data, config.objective.kind, source, context);
  for (const note of sets.notes) say(note);
  await setUp(model, config, sets.labels, root, say);
  const identity = await identityOf(request, model.report.file, source.hash());
  const { input } = context.shape;
  const masked = config.objective.kind === "masked-language-modelling" && input.kind === "ids";
  const masking =
    masked && context.tokenizer !== null
      ? {
          share: config.data.masked,
          mask: maskId(context.tokenizer()),
          vocabulary: input.vocabulary,
          seed: config.seed,
        }
      : null;
  return { sets, parts: partsOf(sets, config), identity, masking };
}

/** The last checkpoint of the folder, where the training may go on from one. */
async function lastCheckpoint(
  { resume, out }: TrainRequest,
  store: CheckpointStore,
  identity: TrainIdentity,
  io: Io,
): Promise<Found | null> {
  await store.prepare();
  if (resume === "auto") return store.newest(identity, (line) => io.stderr.write(`${line}\n`));
  if ((await store.steps()).length === 0) return null;
  throw new EngineError("BAD_INPUT", `${out} holds the checkpoints of a training`, {
    where: "--resume",
    fix: "leave --resume never away to go on with it, or choose another folder",
  });
}

function partsOf({ sets }: TrainSets, { batch }: TrainRequest["config"]): Prepared["parts"] {
  const named = setNames.flatMap((name) => {
    const lengths = sets[name].map(({ length }) => length);
    return lengths.length === 0 ? [] : [[name, { lengths, parts: cutParts(lengths.keys(), lengths, batch) }] as const];
  });
  return Object.fromEntries(named);
}

/** Everything that the loop stands on but what depends on where it begins. */
type Standing = Omit<LoopWork, "line" | "checkpoint" | "progress" | "signal">;

/** Parts from the first layer on. */
function plainPart({ objective }: TrainRequest["config"], { sets, masking }: Prepared): LoopWork["part"] {
  return (set, examples, epoch) => partOf(sets.sets[set], examples, objective.kind, masking, epoch);
}

function standing(request: TrainRequest, model: Model, prepared: Prepared, trainer: Trainer): Standing {
  const { config } = request;
  const { sets } = prepared;
  const lengths = sets.sets.train.map(({ length }) => length);
  const batches = new Batches({ lengths, batch: config.batch, seed: config.seed });
  return {
    trainer,
    batches,
    lengths,
    evaluation: prepared.parts.evaluation ?? null,
    part: plainPart(config, prepared),
    objective: config.objective.kind,
    labels: sets.labels.count,
    schedule: scheduleOf(config.schedule, batches.count(config.length)),
    plan: config.evaluation,
    checkpointEvery: config.checkpoint.every,
    log: config.log,
    seed: config.seed,
    drop: dropOf(config, model),
  };
}

/** Begins every part at the lowest trained layer, where what is below is the same in every epoch. */
async function withEntries(
  request: TrainRequest,
  model: Model,
  base: Standing,
  { prepared, trainer, io }: { prepared: Prepared; trainer: Trainer; io: Io },
): Promise<Standing> {
  const { config } = request;
  if (!config.cache || config.hostDropout > 0 || prepared.masking !== null) return base;
  // Layers that are dropped in some steps only are not always the same; what enters the first one is.
  const robust = base.drop?.kind === "robust";
  base.drop?.apply(robust ? 0 : base.drop.layers);
  let shown: Progress | null = null;
  try {
    const entries = await computeEntries(model, trainer, {
      sets: prepared.parts,
      part: base.part,
      highest: robust ? 0 : model.host.shape.layers,
      signal: io.signal,
      progress: (done, total) => {
        shown ??= startProgress(io, "below", total, "examples");
        shown.update(done, "");
      },
    });
    if (entries === null) return base;
    const size = `${(entries.bytes / 1e6).toFixed(1)} MB`;
    io.stderr.write(`nothing below layer ${entries.layer} is trained: computed once, ${size}\n`);
    return { ...base, part: entries.part };
  } finally {
    (shown as Progress | null)?.finish();
  }
}

/** Runs the loop with its files open. */
async function loop(
  request: TrainRequest,
  base: Standing,
  {
    identity,
    store,
    found,
    trainer,
  }: { identity: TrainIdentity; store: CheckpointStore; found: Found | null; trainer: Trainer },
  io: Io,
): Promise<LoopState> {
  const from = found?.checkpoint.loop ?? null;
  const done = from?.step ?? 0;
  const { schedule, seed } = base;
  if (found !== null) io.stderr.write(`going on from step ${done} of ${schedule.steps} (${found.path})\n`);
  const metrics = await MetricsFile.open(request.out, done);
  // Begun with the first step, behind which nothing is compiled any more: the rate is that of steps.
  const shown: { progress?: Progress; from: number } = { from: done };
  const work: LoopWork = {
    ...base,
    signal: io.signal,
    line: (line) => metrics.write(line),
    checkpoint: async (state) => {
      // Lines up to a checkpoint must be there when it is.
      await metrics.sync();
      const generator = { kind: "philox4x32-10", seed } as const;
      return store.write({ identity, loop: state, schedule, generator, trainer: await trainer.save() });
    },
    progress: (step, note) => {
      if (shown.progress === undefined) {
        shown.progress = startProgress(io, "training", schedule.steps - step, "steps");
        shown.from = step;
      }
      shown.progress.update(step - shown.from, note);
    },
  };
  try {
    return await runLoop(work, from, found?.path ?? null);
  } finally {
    shown.progress?.finish();
    await metrics.close();
  }
}

/** The training itself, up to weights that are written back and saved. */
async function untilSaved(
  { request, model, prepared, io }: { request: TrainRequest; model: Model; prepared: Prepared; io: Io },
  store: CheckpointStore,
): Promise<{ outcome: Omit<TrainOutcome, "pruned">; base: Standing }> {
  const { config, out } = request;
  const { sets, identity, parts } = prepared;
  const found = await lastCheckpoint(request, store, identity, io);
  const trainer = await Trainer.create(model, trainerOptions(config));
  try {
    if (found !== null) await trainer.restore(found.checkpoint.trainer);
    const plain = standing(request, model, prepared, trainer);
    const base = await withEntries(request, model, plain, { prepared, trainer, io });
    const state = await loop(request, base, { identity, store, found, trainer }, io);
    const { best } = state;
    if (best !== null && best.step !== state.step)
      await trainer.restore((await store.read(best.step, identity)).checkpoint.trainer);
    const { test: tested } = parts;
    const test = tested === undefined ? null : await measure(base, "test", tested);
    const dropped = tested === undefined ? {} : await measureDropped(config, model, plain, tested);
    await trainer.writeBack();
    const saved = await saveTrained(model, config, out);
    const outcome = {
      identity,
      state,
      steps: base.schedule.steps,
      examples: { train: sets.sets.train.length, evaluation: sets.sets.evaluation.length, test: sets.sets.test.length },
      labels: sets.labels.names,
      evaluation: best?.scores ?? null,
      test,
      dropped,
      saved,
    };
    return { outcome, base: plain };
  } finally {
    model.dropAdapters(null);
    await trainer.dispose();
  }
}

/**
 * Trains, and saves what was trained.
 * @throws EngineError as the loop, the data and the disk have it; what is on disk by then stays
 */
export async function train(request: TrainRequest, model: Model, io: Io): Promise<TrainOutcome> {
  const prepared = await prepare(request, model, io);
  const { outcome, base } = await untilSaved({ request, model, prepared, io }, new CheckpointStore(request.out));
  const { train: trained, test: tested } = prepared.parts;
  if (trained === undefined || tested === undefined) return { ...outcome, pruned: {} };
  return { ...outcome, pruned: await measurePruned(request.config, model, base, { trained, tested }) };
}
