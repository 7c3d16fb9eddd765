/**
 * @file Writing back: what a training has made of values on the GPU becomes what the model keeps, saves and loads again. Nothing is
 * uploaded: the slots hold these bits already.
 */

import { sourcesOf, unpack } from "../adapters/unpack.ts";
import type { AdapterTensor } from "../adapters/tensors.ts";
import type { Inside } from "../model/model.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { BufferSlice } from "../gpu/gpu.ts";
import { trainedTensors } from "./derived.ts";
import type { Trained } from "./step-plans.ts";
import type { TrainTargets, Trainable, TrainedThing } from "./trainable.ts";

type Kind = TrainedThing["kind"];
type Of<K extends Kind> = Trainable & { readonly thing: Extract<TrainedThing, { kind: K }> };

/** A trained stretch with its values. */
interface Read<K extends Kind> {
  readonly trainable: Of<K>;
  readonly data: Float32Array;
}

function ofKind<K extends Kind>(trainables: readonly Trainable[], kind: K): Of<K>[] {
  return trainables.filter((one): one is Of<K> => one.thing.kind === kind);
}

/** The bytes of a stretch. */
function sliceOf(
  parameters: Parameters,
  { parameter, slot = 0, elements }: { readonly parameter: string; readonly slot?: number; readonly elements: number },
): Required<BufferSlice> {
  const { buffer, offset } = parameters.slice(parameter);
  return { buffer, offset: offset + 4 * slot * elements, size: 4 * elements };
}

/** Reads the stretches of a kind; those of the host stay where they are. */
async function readAll<K extends Kind>(
  { parts }: Inside,
  trainables: readonly Trainable[],
  kind: K,
): Promise<Read<K>[]> {
  const own = ofKind(trainables, kind);
  const bytes = await parts.gpu.read(own.map((trainable) => sliceOf(parts.parameters, trainable)));
  return own.map((trainable, index) => ({ trainable, data: new Float32Array(bytes[index] as ArrayBuffer) }));
}

/** Adapters from all of their slots as they are; where slots are computed, also what they are computed of. */
async function writeAdapters(inside: Inside, { trainables, derived }: Trained): Promise<void> {
  const { store, parts } = inside;
  const tensors = await readAll(inside, trainables, "tensor");
  for (const name of new Set(adaptersOf(trainables))) {
    const { definition, resident } = store.get(name);
    const own = derived.find((one) => one.name === name);
    const stretches = store.bank.stretchesOf(resident);
    const bytes = await parts.gpu.read(stretches.map((stretch) => sliceOf(parts.parameters, stretch)));
    const slots = new Map(
      stretches.map(({ table, room }, index) => [table, { data: new Float32Array(bytes[index] as ArrayBuffer), room }]),
    );
    const sources = own?.copied ?? sourcesOf(name, definition, parts.host.shape);
    const unpacked = unpack(definition, resident.packed, sources, slots);
    const values = new Map(
      tensors.flatMap(({ trainable: { thing }, data }) => (thing.name === name ? [[thing.key, data] as const] : [])),
    );
    store.learned(
      name,
      own === undefined ? unpacked : { ...unpacked, tensors: trainedTensors(own, unpacked.tensors, values) },
    );
  }
}

/** Names of the adapters that are trained, in their slots or in what these are computed of. */
function adaptersOf(trainables: readonly Trainable[]): string[] {
  return [...ofKind(trainables, "adapter"), ...ofKind(trainables, "tensor")].map(({ thing }) => thing.name);
}

function writeHeads({ heads }: Inside, read: readonly Read<"head">[]): void {
  for (const { trainable, data } of read) {
    const { name, tail } = trainable.thing;
    const { shape } = heads.tensorsOf(name).get(tail) as AdapterTensor;
    heads.learned(name, new Map([[tail, { shape, data }]]));
  }
}

function writeRouters({ routers }: Inside, read: readonly Read<"router">[]): void {
  if (read.length === 0) return;
  const { held } = routers;
  if (held === null) throw new Error("routers are written back that nobody held");
  routers.learned(held, new Map(read.map(({ trainable, data }) => [trainable.parameter, data])));
}

/** @returns names of the fusions that are trained. */
function fusionsOf(trainables: readonly Trainable[]): ReadonlySet<string> {
  return new Set(ofKind(trainables, "fusion").map(({ thing }) => thing.name));
}

/**
 * Does the work that begins a training with its fusions held, so that the next call that is made ready puts their matrices on the GPU.
 * Should the work fail, they are let go of.
 * @throws EngineError UNKNOWN_NAME; UNSUPPORTED for a fusion that is trained already
 */
export async function heldDuring<T>(
  { store: { fusions } }: Inside,
  { fusions: names = [] }: TrainTargets,
  work: () => Promise<T>,
): Promise<T> {
  const held: string[] = [];
  try {
    for (const name of names) {
      fusions.hold(name);
      held.push(name);
    }
    return await work();
  } catch (error) {
    for (const name of held) fusions.release(name);
    throw error;
  }
}

/**
 * Lets go of fusions, once what was packed is unpacked. Their matrices go with that, and so they are written back whether that was asked
 * for or not: the model runs on with what was trained, as it does with adapters, whose slots stay.
 */
export async function releaseFusions({ store: { fusions } }: Inside, trainables: readonly Trainable[]): Promise<void> {
  for (const name of fusionsOf(trainables)) {
    await fusions.takeBack(name);
    fusions.release(name);
  }
}

/**
 * Takes what was trained into the model: definitions of adapters and their slot data, of fusions, heads, vectors of routers. Weights of the host are
 * the resident parameters themselves, which saving reads.
 * @param trained what is being trained, while {@link holdTrained} holds it
 */
export async function writeBack(inside: Inside, trained: Trained): Promise<void> {
  const { trainables } = trained;
  const heads = await readAll(inside, trainables, "head");
  const routers = await readAll(inside, trainables, "router");
  for (const name of fusionsOf(trainables)) await inside.store.fusions.takeBack(name);
  await writeAdapters(inside, trained);
  writeHeads(inside, heads);
  writeRouters(inside, routers);
}

/** Keeps what is trained where it is: it is newer on the GPU than what it was made from, until it is written back. */
export function holdTrained({ store, heads, routers, norms }: Inside, trainables: readonly Trainable[]): void {
  store.bank.hold(new Set(adaptersOf(trainables).map((name) => store.get(name).resident)));
  heads.hold(new Set(ofKind(trainables, "head").map(({ thing }) => thing.name)));
  if (ofKind(trainables, "router").length > 0) routers.hold(routers.current?.vectors ?? null);
  const host = ofKind(trainables, "host").length > 0;
  norms.hold(host);
  store.frozen.hold(host);
}

/** Lets go of what was held. What was not written back by then is lost when its slot is taken or its vectors are written anew. */
export function releaseTrained({ store, heads, routers, norms }: Inside): void {
  store.bank.hold(null);
  heads.hold(new Set());
  routers.hold(null);
  norms.hold(false);
  store.frozen.hold(false);
}
