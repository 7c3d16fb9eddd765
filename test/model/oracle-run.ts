/** @file A random case of the oracle through the engine's public interface, and how far the two are apart. */

import { compositionFromJson } from "../../src/adapters/composition-json.ts";
import { EngineError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { RunOutput } from "../../src/model/types.ts";
import { memoryFolder } from "../formats/memory-folder.ts";
import type { Files } from "../oracle/adapter-files.ts";
import { oracle } from "../oracle/oracle.ts";
import type { OracleRequest } from "../oracle/oracle.ts";
import { float32Tolerance } from "../oracle/sensitivity.ts";

/** Cases that float32 cannot be told from a mistake on: counted, not compared. */
const LOOSEST = 1e-2;

/** What became of a case. */
export interface Verdict {
  /**
   * `alike`: within the tolerance; `refused`: by name, where the oracle has no answer either or says why; `sane`: the
   * library fails and the engine gives what is meant; `loose`: float32 tells nothing here; `apart`: a mistake.
   */
  readonly kind: "alike" | "refused" | "sane" | "loose" | "apart";
  readonly detail: string;
}

const folder = (files: Files): ReturnType<typeof memoryFolder> => memoryFolder(Object.entries(files));

/** Loads a case; the caller disposes of the model. */
export async function loadCase(gpu: Gpu, request: OracleRequest): Promise<Model> {
  const model = await loadFolder(gpu, folder(request.host));
  try {
    for (const [name, files] of Object.entries(request.adapters ?? {})) await model.addAdapter(name, folder(files));
    for (const [names, files] of Object.entries(request.fusions ?? {})) {
      await model.addFusion(names.split(","), folder(files));
    }
  } catch (error) {
    await model.dispose();
    throw error;
  }
  return model;
}

/** Runs a case on a model that holds its adapters. */
export async function runCase(model: Model, request: OracleRequest): Promise<RunOutput> {
  model.setActive(
    compositionFromJson(request.active ?? null),
    request.compat === true ? { compat: "adapters-1.2" } : {},
  );
  model.dropAdapters(request.skipLayers?.length ? { layers: request.skipLayers } : null);
  return model.run({ ids: request.inputs });
}

/** The rows of every sequence. */
export function hiddenOf({ hidden }: RunOutput): Float32Array[] {
  if (hidden?.segments === undefined) throw new Error("a run without hidden states");
  const { data, segments } = hidden;
  const width = hidden.shape.at(-1) as number;
  const starts = [...segments].slice(0, -1);
  return starts.map((start, s) => data.slice(start * width, (segments[s + 1] as number) * width));
}

/** The logits of every sequence: each head covers those of its adapter, and of a stack the last one counts. */
export function logitsOf({ heads }: RunOutput, sequences: number): (Float32Array | undefined)[] {
  const found = new Map<number, Float32Array>();
  for (const { data, shape, sequences: some } of Object.values(heads)) {
    const labels = shape.at(-1) as number;
    const numbers = some ?? Uint32Array.from({ length: sequences }, (_, s) => s);
    numbers.forEach((s, row) => found.set(s, data.slice(row * labels, (row + 1) * labels)));
  }
  return Array.from({ length: sequences }, (_, s) => found.get(s));
}

/** The largest difference; infinite where shapes differ or something is no number. */
export function apart(found: readonly (ArrayLike<number> | undefined)[], expected: readonly Float64Array[]): number {
  if (found.length !== expected.length) return Infinity;
  let worst = 0;
  for (const [s, rows] of expected.entries()) {
    const own = found[s];
    if (own?.length !== rows.length) return Infinity;
    for (const [i, value] of rows.entries()) {
      const difference = Math.abs(value - (own[i] as number));
      if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
    }
  }
  return worst;
}

function attempt<T>(call: () => T): T | Error {
  try {
    return call();
  } catch (error) {
    return error as Error;
  }
}

/** Codes by which a composition may be refused. */
const refusals: ReadonlySet<string> = new Set(["UNSUPPORTED", "BAD_CONFIG", "BAD_INPUT"]);

/**
 * Compares the engine with the oracle on hidden states.
 * @param stored the case as the engine gets it, where other names are to mean the same
 */
export async function judge(gpu: Gpu, request: OracleRequest, stored: OracleRequest = request): Promise<Verdict> {
  const expected = attempt(() => oracle(request));
  const found = await engineRun(gpu, stored);
  const unknown = expected instanceof Error ? expected.message : null;
  if (found instanceof Error) {
    if (!(found instanceof EngineError) || !refusals.has(found.code)) {
      return { kind: "apart", detail: `engine: ${String(found.stack)}` };
    }
    // Quirks that are not reproduced are refused by name.
    const quirk = request.compat === true && found.code === "UNSUPPORTED" && found.message.startsWith("compat: ");
    if (unknown !== null || quirk) return { kind: "refused", detail: `${found.message} | ${unknown}` };
    return { kind: "apart", detail: `engine refuses: ${found.code} ${found.message}` };
  }
  if (expected instanceof Error) return againstSane(request, found, expected.message);
  const tolerance = float32Tolerance(request, expected);
  if (!(tolerance <= LOOSEST)) return { kind: "loose", detail: `tolerance ${tolerance}` };
  const distance = apart(hiddenOf(found), expected);
  const detail = `distance ${distance.toExponential(1)}, tolerance ${tolerance.toExponential(1)}`;
  return { kind: distance <= tolerance ? "alike" : "apart", detail };
}

async function engineRun(gpu: Gpu, request: OracleRequest): Promise<RunOutput | Error> {
  try {
    const model = await loadCase(gpu, request);
    try {
      return await runCase(model, request);
    } finally {
      await model.dispose();
    }
  } catch (error) {
    return error as Error;
  }
}

/** Where the library fails, the engine may only give what is meant. */
function againstSane(request: OracleRequest, found: RunOutput, why: string): Verdict {
  const meant = { ...request, compat: false };
  const sane = attempt(() => oracle(meant));
  if (request.compat !== true || sane instanceof Error) {
    return { kind: "apart", detail: `the oracle has no answer, the engine has one: ${why}` };
  }
  const tolerance = float32Tolerance(meant, sane);
  if (!(tolerance <= LOOSEST)) return { kind: "loose", detail: `tolerance ${tolerance}` };
  const distance = apart(hiddenOf(found), sane);
  const detail = `upstream: ${why}; from the sane semantics ${distance.toExponential(1)}, tolerance ${tolerance.toExponential(1)}`;
  return { kind: distance <= tolerance ? "sane" : "apart", detail };
}
