/**
 * @file Suite `swap`: a resident model changes its adapter, which is in a slot already or is written into one by eviction; what
 * that adds to the next prediction, and what it creates: nothing.
 */

import { adapterLeaf } from "../../adapters/composition.ts";
import { compare } from "../../cases/check.ts";
import type { Comparison } from "../../cases/check.ts";
import { EngineError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Model } from "../../model/model.ts";
import { packBatch } from "../../model/batch.ts";
import type { RunInput } from "../../model/types.ts";
import { bertBaseLayer, drawAdapter, Encoder } from "../encoder.ts";
import { verifyForm } from "../encoder-run.ts";
import { bertBaseConfig } from "../file-size.ts";
import { measure } from "../harness.ts";
import type { Candidate, Timing } from "../harness.ts";
import { atMost, timingFields } from "../report.ts";
import type { Reach, ReportRow } from "../report.ts";
import { median, quantile } from "../statistics.ts";
import type { Suite } from "../suite.ts";
import { bertHost, createdBetween, syntheticModel } from "../synthetic-bert.ts";
import type { Created } from "../synthetic-bert.ts";

/**
 * BERT-base without what no adapter touches, most of its words and of its feed-forward width, and few tokens: a few milliseconds
 * would not stand out of a longer prediction.
 */
const CONFIG = { ...bertBaseConfig, vocab_size: 1000, intermediate_size: 128 };
const IDS = [2, 31, 415, 3];
/** Two slots for three adapters: the second stays in one, the others take turns in the other. */
const SLOTS = { count: 2, width: 48, evict: true };
const NAMES = ["first", "resident", "third"] as const;
const RESIDENT = NAMES[1];
const MOST_MILLISECONDS = 5;
const SEED = 1;
const ADAPTER_SEED = 50_000;

/** The suite. */
export const swapSuite: Suite = {
  name: "swap",
  summary: "change of adapter on a resident model: milliseconds to the next prediction, objects created",
  run: async (gpu, { rounds = 101 }, context) => {
    const host = bertHost(CONFIG);
    const model = syntheticModel(gpu, host, SEED, SLOTS);
    const repeats = { warmup: 3, rounds };
    try {
      const bytes: number[] = [];
      for (const [index, name] of NAMES.entries()) {
        const tensors = Object.fromEntries(drawAdapter("pfeiffer", host.shape, ADAPTER_SEED + 1000 * index));
        bytes.push((await model.addAdapter(name, { config: "pfeiffer", tensors })).gpuBytes);
      }
      const swaps = new Swaps(gpu, model);
      const candidates = swaps.candidates();
      const timings = (await measure(candidates, repeats, context)) as [Timing, Timing, Timing];
      const notes = [
        `BERT-base's width and ${host.shape.layers} layers with a feed-forward width of ${CONFIG.intermediate_size}, one sequence of ${IDS.length} tokens; Pfeiffer adapters of ${((bytes[0] as number) / 1e6).toFixed(1)} MB in host memory, ${SLOTS.count} slots.`,
        "swap ms: from setActive to the result, less the prediction beside it in the round, which changes nothing; median over rounds. besides GPU: the same without what the run itself took on the GPU's clock.",
        "verified: each adapter's prediction in float64, and after every later change to the last bit against its first.",
      ];
      return {
        rows: rowsOf(timings, swaps),
        notes,
        settings: { ...repeats, tokens: IDS.length, slots: SLOTS },
      };
    } finally {
      await model.dispose();
    }
  },
};

/** The three things that take turns: a prediction, a change to an adapter in a slot, a change by eviction. */
class Swaps {
  /** Objects created since verification, by candidate. */
  readonly created = new Map<string, Created>();
  /** Milliseconds of every call besides the run's own on the GPU's clock, by candidate; whole calls where there is no clock. */
  readonly around = new Map<string, number[]>();
  readonly #gpu: Gpu;
  readonly #model: Model;
  readonly #input: RunInput = { ids: [IDS] };
  readonly #first = new Map<string, Float32Array>();
  #turn = 0;

  constructor(gpu: Gpu, model: Model) {
    this.#gpu = gpu;
    this.#model = model;
  }

  candidates(): Candidate[] {
    return [
      { name: "prediction", verify: (say) => this.#verify(say), run: () => this.#predict("prediction", null) },
      {
        name: "swap, adapter in a slot",
        verify: () => this.#again(RESIDENT),
        run: () => this.#predict("swap, adapter in a slot", RESIDENT),
      },
      {
        name: "swap, written into a slot by eviction",
        verify: () => this.#again(NAMES[0]),
        run: () => this.#predict("swap, written into a slot by eviction", this.#evicted()),
      },
    ];
  }

  /** The one of the two that take turns that is in no slot. */
  #evicted(): string {
    this.#turn += 1;
    const next = NAMES[this.#turn % 2 === 1 ? 2 : 0];
    if (!this.#model.bank.resident.includes(next)) return next;
    throw wrong(`${next} is in a slot before its swap`);
  }

  async #predict(name: string, adapter: string | null): Promise<number> {
    const before = this.#gpu.counters;
    const start = performance.now();
    if (adapter !== null) this.#model.setActive(adapter);
    const { hidden, timing } = await this.#model.run(this.#input);
    const milliseconds = performance.now() - start;
    this.around.set(name, [...(this.around.get(name) ?? []), milliseconds - (timing.gpu ?? 0)]);
    const created = createdBetween(before, this.#gpu.counters);
    const sum = this.created.get(name);
    this.created.set(name, sum === undefined ? created : added(sum, created));
    const active = this.#model.active;
    const expected = active?.kind === "adapter" ? this.#first.get(active.name) : undefined;
    const found = compare("hidden", hidden?.data ?? [], expected ?? [], 0);
    if (!found.ok) throw wrong(`another prediction after a swap to ${adapter}: ${found.detail}`);
    return milliseconds;
  }

  /** First predictions of all three adapters, each against float64. */
  async #verify(say: (doing: string) => void): Promise<Comparison> {
    const model = this.#model;
    const { host } = model;
    const encoder = new Encoder(
      this.#gpu,
      { ...bertBaseLayer, ffnWidth: CONFIG.intermediate_size, layers: host.shape.layers, bottleneck: SLOTS.width },
      SEED,
      {
        slots: NAMES.length,
        host,
      },
    );
    try {
      const found: Comparison[] = [];
      const { arrays } = packBatch(host.shape, null, this.#input);
      for (const [index, name] of NAMES.entries()) await encoder.add(name, "pfeiffer", ADAPTER_SEED + 1000 * index);
      for (const name of NAMES) {
        model.setActive(name);
        const { hidden } = await model.run(this.#input);
        if (hidden === undefined) throw wrong("a run without hidden states");
        this.#first.set(name, hidden.data);
        const form = { kind: "composed", name, adapters: adapterLeaf(name) } as const;
        const run = { lengths: [IDS.length], arrays, outputs: { hidden } };
        found.push(await verifyForm(encoder, form, run, say));
      }
      // Their weights differ, so a swap that did nothing would be seen.
      const [left, right] = NAMES.map((name) => this.#first.get(name) as Float32Array) as [Float32Array, Float32Array];
      if (compare("hidden", left, right, 1e-3).ok) throw wrong("two adapters give one prediction");
      return found.reduce((worst, one) => (one.error > worst.error ? one : worst));
    } finally {
      await encoder.dispose();
    }
  }

  async #again(name: string): Promise<Comparison> {
    this.#model.setActive(name);
    const { hidden } = await this.#model.run(this.#input);
    return compare(`hidden of ${name}`, hidden?.data ?? [], this.#first.get(name) ?? [], 0);
  }
}

function wrong(message: string): EngineError {
  return new EngineError("VALIDATION", message, { where: "swap" });
}

function added(a: Created, b: Created): Created {
  return {
    pipelines: a.pipelines + b.pipelines,
    buffers: a.buffers + b.buffers,
    bindGroups: a.bindGroups + b.bindGroups,
  };
}

function rowsOf(timings: readonly Timing[], { around, created }: Swaps): ReportRow[] {
  const last = ({ name, samples }: Timing): number[] => (around.get(name) ?? []).slice(-samples.length);
  const [base] = timings as [Timing];
  return timings.map((timing) => {
    const row = { suite: "swap", name: timing.name, ...timingFields(timing) };
    const own = last(timing);
    if (timing === base) return { ...row, cells: {} };
    const differences = timing.samples.map((sample, round) => sample - (base.samples[round] as number));
    const swap = median(differences);
    const made = created.get(timing.name) as Created;
    const cells = {
      "swap ms": swap,
      "swap p10": quantile(differences, 0.1),
      "swap p90": quantile(differences, 0.9),
      "besides GPU ms": median(own.map((sample, round) => sample - (last(base)[round] as number))),
      ...made,
    };
    const reaches: Reach[] = [
      atMost("swap ms", MOST_MILLISECONDS, swap),
      atMost("pipelines created", 0, made.pipelines),
      atMost("buffers created", 0, made.buffers),
      atMost("bind groups created", 0, made.bindGroups),
    ];
    return { ...row, cells, reaches };
  });
}
