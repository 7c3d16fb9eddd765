/**
 * @file Deployed tasks, after indico's DeploymentModel (MATHS §5): adapters, layer norms and a head under one name, swapped together.
 * A task is an adapter of its name with a head that came along; what is kept here is its norms, and which of them a batch needs.
 */

import { isBlock } from "../adapters/composition.ts";
import type { Composition } from "../adapters/composition.ts";
import type { AdapterTensors } from "../adapters/tensors.ts";
import { EngineError } from "../errors.ts";
import { readWeightsFile, sameBits } from "../formats/adapter-hub/weights-file.ts";
import type { WeightNames } from "../formats/adapter-hub/weights-file.ts";
import type { Folder } from "../formats/folder.ts";
import type { HostShape } from "../hosts/host.ts";
import type { AdapterReport } from "./adapter-store.ts";
import type { HeadSource } from "./added-heads.ts";
import { isFolder, readAdapterInput, readHeadInput, tensorMap } from "./folders.ts";
import type { AdapterInput, HeadInput, OpenFolder, PlainTensors, ReadAdapter } from "./folders.ts";
import type { HostNorms, TaskNorms } from "./norms.ts";

/** The weight files of a task's layer norms; keys are the checkpoint's own names. */
export const normWeightFiles: WeightNames = { safetensors: "layer_norms.safetensors", torch: "layer_norms.bin" };

/** Layer norms by the checkpoint's own names, or a folder with `layer_norms.safetensors`. */
export type NormsInput = string | URL | Folder | PlainTensors | AdapterTensors;

/** A task in parts. Norms and a head that lie in the adapter's folder come along unless others, or null, are given. */
export interface TaskParts {
  readonly adapter: AdapterInput;
  /** Those that differ from the host's are enough. */
  readonly norms?: NormsInput | null;
  readonly head?: HeadInput | null;
}

/** A task: its parts, or one folder with all of them. */
export type TaskInput = string | URL | Folder | TaskParts;

/** What was read for a task. */
export interface ReadTask extends ReadAdapter {
  readonly norms: AdapterTensors | null;
}

/** What deploying a task found. */
export interface TaskReport extends AdapterReport {
  /** Layer norm tensors that differ from the host's. */
  readonly norms: number;
  /** Type of the head, such as `classification`; null without one. */
  readonly head: string | null;
}

/** Reads what a task is made from. */
export async function readTask(
  name: string,
  input: TaskInput,
  shape: HostShape,
  openFolder: OpenFolder,
): Promise<ReadTask> {
  const parts: TaskParts =
    typeof input === "object" && "adapter" in input && !isFolder(input) ? input : { adapter: input as Folder };
  const read = await readAdapterInput(name, parts.adapter, shape, openFolder);
  const { folder } = read;
  const own = folder !== null && (await hasNorms(folder)) ? folder : null;
  const norms = parts.norms === undefined ? own : parts.norms;
  return {
    ...read,
    norms: norms === null ? null : await readNorms(norms, openFolder),
    head: parts.head === undefined ? read.head : await readHead(parts.head, openFolder),
  };
}

/**
 * Reads an adapter alone.
 * @throws EngineError BAD_CONFIG for a folder with layer norms, without which the adapter is not what was trained
 */
export async function readAdapterAlone(
  name: string,
  input: AdapterInput,
  shape: HostShape,
  openFolder: OpenFolder,
): Promise<ReadTask> {
  const read = await readAdapterInput(name, input, shape, openFolder);
  const { folder } = read;
  if (folder === null || !(await hasNorms(folder))) return { ...read, norms: null };
  const message = `${folder.name} holds layer norms of a task, which addAdapter does not take`;
  throw new EngineError("BAD_CONFIG", message, { where: name, fix: "deploy it: model.deploy(name, folder)" });
}

async function hasNorms(folder: Folder): Promise<boolean> {
  return (await folder.has(normWeightFiles.safetensors)) || folder.has(normWeightFiles.torch);
}

async function readHead(input: HeadInput | null, openFolder: OpenFolder): Promise<HeadSource | null> {
  return input === null ? null : { ...(await readHeadInput(input, openFolder)), along: true };
}

async function readNorms(input: NormsInput, openFolder: OpenFolder): Promise<AdapterTensors> {
  if (typeof input === "string" || input instanceof URL) return readNorms(openFolder(input), openFolder);
  if (isFolder(input)) return (await readWeightsFile(input, normWeightFiles)).tensors;
  return tensorMap(input as PlainTensors);
}

/** The norms of a part of a composition, and the name that brought them; null for the host's own. */
type Found = { readonly name: string; readonly norms: TaskNorms } | null;

/** The norms of the tasks of one model. */
export class Tasks {
  readonly #norms: HostNorms;
  readonly #tasks = new Map<string, TaskNorms | null>();

  constructor(norms: HostNorms) {
    this.#norms = norms;
  }

  get names(): readonly string[] {
    return [...this.#tasks.keys()];
  }

  /** @throws EngineError UNKNOWN_NAME listing the tasks that are here */
  get(name: string): TaskNorms | null {
    const norms = this.#tasks.get(name);
    if (norms !== undefined) return norms;
    throw new EngineError("UNKNOWN_NAME", `there is no task ${name}; known: ${this.names.join(", ") || "none"}`, {
      where: name,
      fix: "add it with deploy",
    });
  }

  /** Checks the norms of a task. Tasks with equal norms share them, and a batch. */
  async define(name: string, tensors: AdapterTensors | null): Promise<TaskNorms | null> {
    const norms = tensors === null ? null : await this.#norms.define(name, tensors);
    if (norms === null) return null;
    return [...this.#tasks.values()].find((known) => known !== null && equal(known, norms)) ?? norms;
  }

  add(name: string, norms: TaskNorms | null): void {
    this.#tasks.set(name, norms);
  }

  /** Forgets a task, if there is one of that name. */
  forget(name: string): void {
    this.#tasks.delete(name);
  }

  /**
   * The norms that a run needs; null for the host's own.
   * @param light the adapter of light paths, where it is another
   * @throws EngineError UNSUPPORTED naming the tasks when rows of one batch would need different norms
   */
  normsFor(
    composition: Composition | null,
    perSequence: readonly (string | null)[] | undefined,
    light: string | null,
  ): TaskNorms | null {
    if (this.#tasks.size === 0) return null;
    const dense =
      perSequence === undefined
        ? this.#of(composition)
        : apart([...new Set(perSequence)].map((name) => ({ name, found: this.#ofName(name) })));
    return together([dense, this.#ofName(light)])?.norms ?? null;
  }

  #ofName(name: string | null): Found {
    const norms = name === null ? undefined : this.#tasks.get(name);
    return norms === undefined || norms === null ? null : { name: name as string, norms };
  }

  #of(composition: Composition | null): Found {
    if (composition === null || composition.kind === "none") return null;
    if (!isBlock(composition)) return this.#ofName(composition.name);
    const children = composition.children.map((child) => ({ name: nameOf(child), found: this.#of(child) }));
    const { kind } = composition;
    const exclusive = kind === "split" || kind === "batchSplit" || kind === "parallel";
    return exclusive ? apart(children) : together(children.map(({ found }) => found));
  }
}

function nameOf(composition: Composition): string | null {
  if (isBlock(composition)) return composition.kind;
  return composition.kind === "adapter" ? composition.name : null;
}

/** Adapters that work on the same rows: one that brings no norms takes those of the others. */
function together(parts: readonly Found[]): Found {
  const brought = parts.filter((part) => part !== null);
  const first = brought[0] ?? null;
  const other = brought.find(({ norms }) => norms !== first?.norms);
  if (other === undefined) return first;
  throw refused(`the tasks ${first?.name} and ${other.name} have different layer norms`, first?.name as string);
}

/** Adapters on rows of their own: without norms they need the host's. */
function apart(parts: readonly { readonly name: string | null; readonly found: Found }[]): Found {
  const [first, ...rest] = parts;
  if (first === undefined) return null;
  const other = rest.find(({ found }) => (found?.norms ?? null) !== (first.found?.norms ?? null));
  if (other === undefined) return first.found;
  const [one, two] = first.found === null ? [other, first] : [first, other];
  const name = one.found?.name as string;
  if (two.found !== null) throw refused(`the tasks ${name} and ${two.found.name} have different layer norms`, name);
  throw refused(`the task ${name} has layer norms of its own, ${two.name ?? "the bare model"} has the host's`, name);
}

function refused(message: string, where: string): EngineError {
  return new EngineError("UNSUPPORTED", `${message}: they cannot share a batch`, {
    where,
    fix: "run them one after the other",
  });
}

function equal(a: TaskNorms, b: TaskNorms): boolean {
  if (a.tensors.size !== b.tensors.size) return false;
  return [...a.tensors].every(([name, tensor]) => {
    const other = b.tensors.get(name);
    return other !== undefined && sameBits(tensor, other);
  });
}
