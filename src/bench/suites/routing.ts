/** @file Suite `routing`: one BERT-base layer dense, with the adapter, and routed; time against the cost model of MATHS §1.6. */

import type { Gpu } from "../../gpu/gpu.ts";
import { Encoder, bertBaseLayer } from "../encoder.ts";
import { allForms, measureForms } from "../encoder-table.ts";
import type { EncoderCandidate } from "../encoder-run.ts";
import type { BenchContext } from "../harness.ts";
import type { ProfiledLaunch } from "../planned-run.ts";
import { atMost } from "../report.ts";
import type { ReportRow } from "../report.ts";
import type { Suite } from "../suite.ts";

const TOKENS = 512;
/** Reductions that the goal is set for; `--full` adds two more. */
const GOAL = { share: 0.85, reductions: [3, 5] };
const MORE = [2, 8];
const MOST_ROUTER_SHARE = 0.03;
const PROFILED_RUNS = 5;

/** Launches that a routed layer has and a dense one has not, besides the light path. */
const ROUTER: ReadonlySet<string> = new Set(["row-dot", "soft-top-k", "top-k", "gather-rows", "fill"]);

/** The suite. */
export const routingSuite: Suite = {
  name: "routing",
  summary: "one routed layer (d 768, n 512): speed-up, FLOP ratio, realised share, cost of the router",
  run: async (gpu, { full, rounds = 7 }, context) => {
    const encoder = await Encoder.create(gpu, bertBaseLayer, 1);
    const reductions = full ? [...MORE, ...GOAL.reductions].toSorted((a, b) => a - b) : GOAL.reductions;
    const repeats = { warmup: 1, rounds };
    try {
      const table = {
        suite: "routing",
        batch: `1 × ${TOKENS}`,
        lengths: [TOKENS],
        forms: allForms(reductions),
        repeats,
        reach: GOAL,
      };
      const rows = await measureForms(encoder, table, context, (candidates) => routerShares(gpu, candidates, context));
      const notes = [
        "speed-up is over dense + adapter, paired round by round; realised = speed-up / FLOP ratio (MATHS §1.6).",
        "router share: row-dot, soft top-k and top-k among all launches of a routed layer, from profiled runs.",
      ];
      return { rows, notes, settings: { ...bertBaseLayer, tokens: TOKENS, ...repeats, reductions } };
    } finally {
      await encoder.dispose();
    }
  },
};

/** The share of scoring, weighing and selecting in every routed form; nothing where launches cannot be timed. */
async function routerShares(
  gpu: Gpu,
  candidates: readonly EncoderCandidate[],
  context: BenchContext,
): Promise<ReportRow[]> {
  if (gpu.info.clock === "wall") return [];
  const rows: ReportRow[] = [];
  for (const { form, name, planned } of candidates) {
    if (form.kind !== "routed") continue;
    context.progress(1, 1, `profiling ${name}`);
    const launches = await planned.profileMedians(PROFILED_RUNS);
    const router = sum(launches.filter(({ op }) => ROUTER.has(op)));
    const share = router / sum(launches);
    rows.push({
      suite: "routing",
      name: `1 × ${TOKENS}, ${name}: router, soft top-k, selection`,
      cells: { "router ms": router, "router share": share },
      reaches: [atMost("router share", MOST_ROUTER_SHARE, share)],
    });
  }
  return rows;
}

function sum(launches: readonly ProfiledLaunch[]): number {
  return launches.reduce((total, { milliseconds }) => total + milliseconds, 0);
}
