/**
 * @file What indirect dispatch asks of every kernel: a grid made for fewer rows computes those rows to the same bits, although
 * uniforms and buffers are made for all of them (`Launch.grid`). Checked for every op whose grid follows the rows of its result.
 */

import { describe, expect, test } from "vitest";
import { caseTables } from "../../src/cases/index.ts";
import { caseGraph } from "../../src/cases/evaluate.ts";
import type { OpCase } from "../../src/cases/case.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import type { HostTensor } from "../../src/graph/plan.ts";
import { callOf, sizeLookup } from "../../src/graph/schedule.ts";
import type { AnyOp, Value } from "../../src/graph/value.ts";
import { opsByStem } from "../../src/ops/index.ts";
import type { Op, SizeOf } from "../../src/ops/op.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const CASES_PER_OP = 2;
const MOST_ROWS = 200;

/** An op whose launches are dispatched for `rows` of the symbol, with everything else as the run has it. */
function shortened(op: AnyOp, symbol: string, rows: number): AnyOp {
  return {
    ...op,
    launch: (...given) =>
      op.launch(...given).map((launch) => ({
        ...launch,
        grid: (size: SizeOf) =>
          launch.grid((dim) => (typeof dim === "object" && dim.symbol === symbol ? rows * dim.times : size(dim))),
      })),
  };
}

interface Specimen {
  readonly opCase: OpCase;
  readonly symbol: string;
  readonly rows: number;
}

/** The cases of an op with the most rows of a result, where a grid depends on them. */
async function specimens(op: Op, cases: readonly OpCase[]): Promise<Specimen[]> {
  const { traits } = await sharedGpu();
  const found = cases
    .filter(({ bench }) => bench !== true)
    .flatMap((opCase): Specimen[] => {
      const { graph, sizes } = caseGraph(op, opCase);
      const node = graph.nodes.find(({ kind }) => kind === "op");
      const [dim] = Object.values(node?.outputs ?? {})[0]?.type.shape ?? [];
      if (node === undefined || typeof dim !== "object" || dim.times !== 1) return [];
      const rows = sizes[dim.symbol] as number;
      if (rows < 3 || rows > MOST_ROWS) return [];
      const size = sizeLookup(sizes);
      const call = callOf(node);
      const follows = op.variants(call, traits, size).some((variant) =>
        op.launch(call, variant, traits, size).some(({ grid }) => {
          let asked = false;
          grid((other) => {
            asked ||= typeof other === "object" && other.symbol === dim.symbol;
            return size(other);
          });
          return asked;
        }),
      );
      return follows ? [{ opCase, symbol: dim.symbol, rows }] : [];
    });
  return found.sort((a, b) => b.rows - a.rows).slice(0, CASES_PER_OP);
}

/** The first rows of every output that has rows, bit by bit: sums over all of them, as those of a norm's γ, are no rows. */
function prefix(
  outputs: Readonly<Record<string, HostTensor>>,
  hasRows: (output: string) => boolean,
  all: number,
  rows: number,
): Record<string, number[]> {
  const own = Object.entries(outputs).filter(([name]) => hasRows(name));
  return Object.fromEntries(
    own.map(([name, { data }]) => {
      const words = new Uint32Array(data.buffer, data.byteOffset, (data.length / all) * rows);
      return [name, [...words]];
    }),
  );
}

describe("a grid for fewer rows computes those rows", () => {
  test.each(caseTables.map(({ stem, cases }) => [stem, cases] as const))("%s", async (stem, cases) => {
    const gpu = await sharedGpu();
    const op = opsByStem[stem] as Op;
    for (const { opCase, symbol, rows } of await specimens(op, cases)) {
      const { graph, inputs, sizes } = caseGraph(op, opCase);
      const node = graph.nodes.find(({ kind }) => kind === "op") as {
        readonly outputs: Readonly<Record<string, Value>>;
      };
      const hasRows = (output: string): boolean => {
        const [dim] = node.outputs[output]?.type.shape ?? [];
        return typeof dim === "object" && dim.symbol === symbol;
      };
      const call = callOf(graph.nodes.find(({ kind }) => kind === "op") as Parameters<typeof callOf>[0]);
      for (const variant of op.variants(call, gpu.traits, sizeLookup(sizes))) {
        const choose = (): string => variant;
        const whole = await evaluate(gpu, graph, inputs, sizes, { choose });
        expect(Object.keys(whole)).toEqual(Object.keys(node.outputs));
        for (const fewer of [1, Math.floor(rows / 2), rows - 1]) {
          const short = caseGraph(shortened(op as AnyOp, symbol, fewer), opCase).graph;
          const part = await evaluate(gpu, short, inputs, sizes, { choose });
          expect(prefix(part, hasRows, rows, fewer), `${variant}, ${opCase.name}, ${fewer} of ${rows} rows`).toEqual(
            prefix(whole, hasRows, rows, fewer),
          );
        }
      }
    }
  });
});
