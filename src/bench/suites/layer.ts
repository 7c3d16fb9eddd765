/** @file Suite `layer`: one BERT-base layer at n = 128, batch 1, as the peers of `bench/peers` run it, op by op. */

import { Encoder, bertBaseLayer } from "../encoder.ts";
import { encoderCandidate } from "../encoder-run.ts";
import { measure } from "../harness.ts";
import type { Timing } from "../harness.ts";
import type { LaunchTime } from "../../graph/launch-times.ts";
import { timingFields } from "../report.ts";
import type { ReportRow } from "../report.ts";
import type { Suite } from "../suite.ts";

const TOKENS = 128;
const PROFILED_RUNS = 5;

/** The suite. */
export const layerSuite: Suite = {
  name: "layer",
  summary: "one BERT-base layer, n = 128, batch 1: the layer and each of its launches",
  run: async (gpu, { rounds = 15 }, context) => {
    const encoder = await Encoder.create(gpu, bertBaseLayer, 1);
    const repeats = { warmup: 2, rounds };
    try {
      const candidate = await encoderCandidate(encoder, { kind: "dense" }, [TOKENS]);
      const [timing] = (await measure([candidate], repeats, context)) as [Timing];
      const launches = await candidate.planned.profileMedians(PROFILED_RUNS);
      candidate.planned.dispose();
      const { flops } = candidate;
      const cells = { GFLOP: flops / 1e9, "GFLOP/s": flops / 1e6 / timing.median };
      const whole = { suite: "layer", name: `BERT-base layer, 1 × ${TOKENS}`, cells, ...timingFields(timing) };
      const notes = ["against other engines on the same adapter in one run: cd bench/peers && npm ci && node run.mjs"];
      return {
        rows: [whole, ...launchRows(launches)],
        notes,
        settings: { ...bertBaseLayer, tokens: TOKENS, ...repeats },
      };
    } finally {
      await encoder.dispose();
    }
  },
};

function launchRows(launches: readonly LaunchTime[]): ReportRow[] {
  const total = launches.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return launches.map(({ kernel, milliseconds }, index) => ({
    suite: "layer",
    name: `  launch ${index + 1}: ${kernel}`,
    cells: { "launch ms": milliseconds, "of layer": milliseconds / total },
  }));
}
