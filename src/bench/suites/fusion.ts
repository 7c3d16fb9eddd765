/** @file Suite `fusion`: AdapterFusion of 2, 8 and 16 adapters against one adapter, and its part folded against unfolded. */

import { adapterLeaf, fuse } from "../../adapters/composition.ts";
import type { AdapterTensors } from "../../adapters/tensors.ts";
import { bertBasePair, measureComposed } from "../composed-table.ts";
import type { ComposedEntry } from "../composed-table.ts";
import { Encoder } from "../encoder.ts";
import { fusionCandidate } from "../fusion-part.ts";
import type { FusionCandidate, FusionPart } from "../fusion-part.ts";
import { measure, part, speedUp } from "../harness.ts";
import type { BenchContext, Repeats, Timing } from "../harness.ts";
import { atLeast, timingFields } from "../report.ts";
import type { ReportRow } from "../report.ts";
import type { Suite } from "../suite.ts";

const TOKENS = 128;
const SEED = 1;
/** Least throughput over one adapter by N. Published: 0.68, 0.40, 0.26 (AdapterDrop, V100). */
const REACH: readonly (readonly [count: number, throughput: number])[] = [
  [2, 0.95],
  [8, 0.86],
  [16, 0.75],
];
const PART_COUNT = 8;
const FOLDED_GAIN = 3;

/** The suite. */
export const fusionSuite: Suite = {
  name: "fusion",
  summary: "AdapterFusion of 2, 8, 16 adapters over one adapter; its part folded and unfolded (d 768, n 128)",
  run: async (gpu, { rounds = 15 }, context) => {
    const repeats = { warmup: 2, rounds };
    const most = Math.max(...REACH.map(([count]) => count));
    const names = Array.from({ length: most }, (_, index) => `a${index}`);
    const encoder = new Encoder(gpu, bertBasePair, SEED, { slots: most });
    try {
      for (const [index, name] of names.entries()) await encoder.add(name, "pfeiffer", 100 * (index + 1));
      const fusions = new Map<number, AdapterTensors>();
      for (const [count] of REACH)
        fusions.set(count, await encoder.addFusion(names.slice(0, count), ["ffn"], 5000 + count));
      const whole = await measureComposed(encoder, modelTable(names, repeats), part(context, 0, 2));
      const tensors = fusions.get(PART_COUNT) as AdapterTensors;
      const one: FusionPart = { encoder, names: names.slice(0, PART_COUNT), tensors, tokens: TOKENS };
      const rows = [...whole, ...(await partRows(one, repeats, part(context, 1, 2)))];
      const notes = [
        `model: ${bertBasePair.layers} of BERT-base's 12 layers, batch 1, ${TOKENS} tokens, Pfeiffer adapters; throughput ratio: time of one adapter / own time.`,
        "part: adapters and fusion of one layer. literal: an adapter, a key and a value per adapter, as the library computes it; pulled: our unfolded form.",
        "the models are verified with their folded matrices, the part against the literal form on the tensors as given.",
      ];
      return { rows, notes, settings: { ...bertBasePair, tokens: TOKENS, fusion: "dynamic", ...repeats } };
    } finally {
      await encoder.dispose();
    }
  },
};

function modelTable(names: readonly string[], repeats: Repeats): Parameters<typeof measureComposed>[1] {
  const single: ComposedEntry = {
    form: { kind: "composed", name: "one adapter", adapters: adapterLeaf(names[0] as string) },
  };
  const fused = REACH.map(([count, throughput]): ComposedEntry => {
    const form = { kind: "composed", name: `fusion of ${count}`, adapters: fuse(...names.slice(0, count)) } as const;
    return { form, throughput };
  });
  return { suite: "fusion", batch: `model 1 × ${TOKENS}`, lengths: [TOKENS], entries: [single, ...fused], repeats };
}

async function partRows(fusion: FusionPart, repeats: Repeats, context: BenchContext): Promise<ReportRow[]> {
  const candidates: FusionCandidate[] = [];
  try {
    for (const form of ["literal", "pulled", "folded"] as const) candidates.push(await fusionCandidate(fusion, form));
    const timings = await measure(candidates, repeats, context);
    const literal = timings[0] as Timing;
    return candidates.map(({ name, flops }, index) => {
      const own = timings[index] as Timing;
      const gain = speedUp(literal, own);
      const cells = { GFLOP: flops / 1e9, "GFLOP/s": flops / 1e6 / own.median, "over literal": gain };
      const row = { suite: "fusion", name: `part N = ${PART_COUNT}, ${name}`, cells, ...timingFields(own) };
      return name === "folded" ? { ...row, reaches: [atLeast("over literal", FOLDED_GAIN, gain)] } : row;
    });
  } finally {
    for (const { planned } of candidates) planned.dispose();
  }
}
