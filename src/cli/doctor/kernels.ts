/** @file Every kernel variant on this very device against float64: the heart of `doctor`. */

import { checkCase } from "../../cases/check.ts";
import type { Comparison } from "../../cases/check.ts";
import type { OpCase } from "../../cases/case.ts";
import { caseTables } from "../../cases/index.ts";
import { EngineError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { caseGraph } from "../../cases/evaluate.ts";
import type { Reference } from "../../graph/interpret.ts";
import { callOf, sizeLookup } from "../../graph/schedule.ts";
import { opsByStem } from "../../ops/index.ts";
import type { Attributes, DeviceTraits, Op, OpCall, SizeOf } from "../../ops/index.ts";
import { references } from "../../reference/index.ts";
import { formatTable } from "../text.ts";

/** One case that came out wrong, or did not run. */
export interface CaseFailure {
  readonly case: string;
  readonly detail: string;
  readonly tolerance: number;
}

/** How one variant of one op did. */
export interface VariantCheck {
  readonly op: string;
  readonly variant: string;
  readonly cases: number;
  /** The case that used most of its tolerance, with its error as a multiple of the output's scale. */
  readonly worst: { readonly case: string; readonly error: number; readonly tolerance: number } | null;
  readonly failures: readonly CaseFailure[];
}

/** A variant that this device does not run. */
export interface SkippedVariant {
  readonly op: string;
  readonly variant: string;
  readonly reason: string;
}

/** What was checked. */
export interface KernelCheck {
  readonly ok: boolean;
  readonly variants: readonly VariantCheck[];
  readonly skipped: readonly SkippedVariant[];
}

/** How much to check. */
export interface KernelCheckOptions {
  /** A few cases of every op instead of all. */
  readonly quick: boolean;
  /** Only these ops. */
  readonly ops?: readonly string[];
  readonly signal?: AbortSignal;
  /** Called after every case. */
  readonly onCase?: (done: number, total: number, op: string) => void;
}

const QUICK_CASES = 3;

interface Job {
  readonly op: Op<Attributes>;
  readonly reference: Reference;
  readonly opCase: OpCase;
}

function jobs({ quick, ops }: KernelCheckOptions): Job[] {
  return caseTables.flatMap(({ stem, cases }) => {
    if (ops !== undefined && !ops.includes(stem)) return [];
    const small = cases.filter(({ bench }) => bench !== true);
    const step = quick ? Math.max(1, (small.length - 1) / (QUICK_CASES - 1)) : 1;
    const chosen = small.filter((_, index) => Math.round(Math.round(index / step) * step) === index);
    const op = opsByStem[stem] as Op<Attributes>;
    return chosen.map((opCase) => ({ op, reference: references[stem] as unknown as Reference, opCase }));
  });
}

/** Everything that a device could have and this one may lack, with the words for it. */
function remedies(traits: DeviceTraits): [string, Partial<DeviceTraits>][] {
  return [
    ["needs the feature subgroups", { subgroups: true, subgroupMinSize: 4, subgroupMaxSize: 128 }],
    ["needs the feature shader-f16", { shaderF16: true }],
    ["needs more workgroup memory", { maxWorkgroupStorageBytes: 2 ** 20 }],
    ["needs more invocations per workgroup", { maxWorkgroupInvocations: 1024 }],
    ["needs more storage buffers per stage", { maxStorageBuffers: 64 }],
    [traits.software ? "made for hardware" : "made for software adapters", { software: !traits.software }],
  ];
}

/** Variants that some device runs for this call and this one does not, each with the first reason that explains it. */
function missingVariants(op: Op<Attributes>, call: OpCall, traits: DeviceTraits, size: SizeOf): Map<string, string> {
  const offered = op.variants(call, traits, size);
  const missing = new Map<string, string>();
  const list = remedies(traits);
  const note = (variants: readonly string[], reason: string): void => {
    for (const variant of variants)
      if (!offered.includes(variant) && !missing.has(variant)) missing.set(variant, reason);
  };
  for (const [reason, change] of list) note(op.variants(call, { ...traits, ...change }, size), reason);
  const everything = Object.assign({}, traits, ...list.map(([, change]) => change), {
    software: false,
  }) as DeviceTraits;
  note(op.variants(call, everything, size), "needs several features that this device lacks");
  return missing;
}

/** Collects the results of one op's variants in the order in which they come. */
class Ledger {
  readonly #checks = new Map<
    string,
    { op: string; variant: string; cases: number; worst: VariantCheck["worst"]; failures: CaseFailure[] }
  >();
  readonly #skipped = new Map<string, SkippedVariant>();

  add(op: string, variant: string, opCase: OpCase, found: Comparison): void {
    const key = `${op} ${variant}`;
    const check = this.#checks.get(key) ?? { op, variant, cases: 0, worst: null, failures: [] };
    this.#checks.set(key, check);
    check.cases += 1;
    const { error, tolerance } = found;
    if (!found.ok) check.failures.push({ case: opCase.name, detail: found.detail, tolerance });
    if (check.worst === null || shareOf(found) > shareOf(check.worst))
      check.worst = { case: opCase.name, error, tolerance };
  }

  skip(op: string, variant: string, reason: string): void {
    this.#skipped.set(`${op} ${variant}`, { op, variant, reason });
  }

  result(): KernelCheck {
    const variants = [...this.#checks.values()];
    // A variant that ran for one case was not skipped by the device.
    const skipped = [...this.#skipped].filter(([key]) => !this.#checks.has(key)).map(([, entry]) => entry);
    return { ok: variants.every(({ failures }) => failures.length === 0), variants, skipped };
  }
}

/** The share of the tolerance that an error uses; an exact output that is exact uses none. */
function shareOf({ error, tolerance }: { readonly error: number; readonly tolerance: number }): number {
  return error === 0 ? 0 : error / tolerance;
}

async function checkOne(gpu: Gpu, { op, reference, opCase }: Job, variant: string): Promise<Comparison> {
  try {
    return await checkCase(gpu, op, reference, opCase, variant);
  } catch (error) {
    // A kernel that does not even run is a finding; a device that is gone ends the search.
    if (!(error instanceof EngineError) || error.code === "DEVICE_LOST" || error.code === "DISPOSED") throw error;
    return { ok: false, error: Infinity, tolerance: opCase.tolerance, detail: `${error.code}: ${error.message}` };
  }
}

/**
 * Checks every case in every variant that the device runs.
 * @throws EngineError DEVICE_LOST, UNKNOWN_NAME for an op that is not there; the signal's reason
 */
export async function checkKernels(gpu: Gpu, options: KernelCheckOptions): Promise<KernelCheck> {
  const known = caseTables.map(({ stem }) => stem);
  for (const name of options.ops ?? []) {
    if (!known.includes(name))
      throw new EngineError("UNKNOWN_NAME", `there is no op ${name}; known: ${known.join(", ")}`, { where: name });
  }
  const list = jobs(options);
  const ledger = new Ledger();
  for (const [index, job] of list.entries()) {
    options.signal?.throwIfAborted();
    const { op, opCase } = job;
    const { graph, sizes } = caseGraph(op, opCase);
    const node = graph.nodes.find(({ kind }) => kind === "op");
    if (node === undefined) throw new EngineError("SHAPE", `the case ${opCase.name} of ${op.stem} builds no op`);
    const call = callOf(node);
    const size = sizeLookup(sizes);
    for (const variant of op.variants(call, gpu.traits, size)) {
      ledger.add(op.stem, variant, opCase, await checkOne(gpu, job, variant));
    }
    for (const [variant, reason] of missingVariants(op, call, gpu.traits, size)) ledger.skip(op.stem, variant, reason);
    options.onCase?.(index + 1, list.length, op.stem);
  }
  return ledger.result();
}

function exponent(value: number): string {
  return value === 0 ? "0" : value.toExponential(1);
}

/** @returns the table of variants, then failures and skipped variants, as text. */
export function formatKernelCheck({ variants, skipped }: KernelCheck): string {
  const rows = variants.map(({ op, variant, cases, worst, failures }) => [
    op,
    variant,
    String(cases),
    worst === null ? "" : exponent(worst.error),
    worst === null ? "" : worst.tolerance === 0 ? "exact" : exponent(worst.tolerance),
    failures.length === 0 ? "ok" : `${failures.length} WRONG`,
  ]);
  const header = ["op", "variant", "cases", "worst error", "tolerance", "verdict"];
  const lines = [formatTable([header, ...rows], ["left", "left", "right", "right", "right", "left"])];
  for (const { op, variant, failures } of variants) {
    for (const failure of failures)
      lines.push(
        `WRONG ${op}.${variant}, ${failure.case}: ${failure.detail}, tolerance ${exponent(failure.tolerance)}`,
      );
  }
  for (const { op, variant, reason } of skipped) lines.push(`skipped ${op}.${variant}: ${reason}`);
  return lines.join("\n");
}

/**
 * A few cases of every op, for the beginning of a longer job: one line when all is well, the findings when not.
 * @param report takes each line
 * @returns true when every kernel agrees with float64
 */
export async function quickDoctor(gpu: Gpu, report: (line: string) => void, signal?: AbortSignal): Promise<boolean> {
  const check = await checkKernels(gpu, { quick: true, ...(signal === undefined ? {} : { signal }) });
  const cases = check.variants.reduce((sum, variant) => sum + variant.cases, 0);
  if (check.ok) {
    const skipped = check.skipped.length === 0 ? "" : `, ${check.skipped.length} variants are not for this device`;
    report(`doctor: ${check.variants.length} kernel variants agree with float64 on ${cases} cases${skipped}`);
  } else {
    report(formatKernelCheck(check));
  }
  return check.ok;
}
