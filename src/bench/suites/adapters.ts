/** @file Suite `adapters`: what a parallel adapter adds to the bare layer. */

import { Encoder, bertBaseLayer } from "../encoder.ts";
import { baseForm, encoderCandidate } from "../encoder-run.ts";
import type { EncoderCandidate } from "../encoder-run.ts";
import { measure } from "../harness.ts";
import type { Timing } from "../harness.ts";
import { atMost, timingFields } from "../report.ts";
import { pairedRatio } from "../statistics.ts";
import type { Suite } from "../suite.ts";

const TOKENS = 512;
const PROFILED_RUNS = 5;
/** Overhead that is accepted, in multiples of the adapter's share of the FLOP. */
const MOST_OF_SHARE = 2;

/** The suite. */
export const adaptersSuite: Suite = {
  name: "adapters",
  summary: "a parallel adapter (b 64) over the bare layer (d 768, n 512)",
  run: async (gpu, { rounds = 21 }, context) => {
    const encoder = new Encoder(gpu, bertBaseLayer, 1);
    const repeats = { warmup: 2, rounds };
    const candidates: EncoderCandidate[] = [];
    try {
      for (const form of [{ kind: "dense" } as const, baseForm])
        candidates.push(await encoderCandidate(encoder, form, [TOKENS]));
      const [bare, adapted] = candidates as [EncoderCandidate, EncoderCandidate];
      const [bareTiming, adaptedTiming] = (await measure(candidates, repeats, context)) as [Timing, Timing];
      const share = adapted.flops / bare.flops - 1;
      const overhead = pairedRatio(adaptedTiming.samples, bareTiming.samples) - 1;
      const launches = await adapted.planned.profileMedians(PROFILED_RUNS);
      const own = launches
        .filter(({ op }) => op === "adapter")
        .reduce((total, { milliseconds }) => total + milliseconds, 0);
      const cells = { GFLOP: adapted.flops / 1e9, "FLOP share": share, overhead, "adapter ms": own };
      const rows = [
        { suite: "adapters", name: "bare layer", cells: { GFLOP: bare.flops / 1e9 }, ...timingFields(bareTiming) },
        {
          suite: "adapters",
          name: "layer + parallel adapter",
          cells: launches.length === 0 ? { ...cells, "adapter ms": NaN } : cells,
          ...timingFields(adaptedTiming),
          reaches: [atMost("overhead", MOST_OF_SHARE * share, overhead)],
        },
      ];
      const notes = [
        "overhead: median over rounds of adapted / bare − 1; adapter ms: its one launch, the median of profiled runs.",
      ];
      return { rows, notes, settings: { ...bertBaseLayer, tokens: TOKENS, ...repeats } };
    } finally {
      for (const { planned } of candidates) planned.dispose();
      await encoder.dispose();
    }
  },
};
