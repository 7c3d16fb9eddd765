/** @file The integer tables of a run that the host knows, for costs: lengths of single sequences, widths of single slots. */

import type { AdapterBank } from "../adapters/bank.ts";
import type { TableOf } from "../graph/schedule.ts";
import type { Node } from "../graph/value.ts";
import type { Lengths } from "./lengths.ts";

/** The input of an op that bounds the segment table which it fills on the GPU. */
const CAPACITIES = "capacity_segments";

/**
 * @returns tables as the kernels of this run read them: run-time inputs, slots of the bank, and for a segment table that is filled
 * on the GPU the most that it can hold
 */
export function knownTables(
  run: Pick<Lengths, "inputs"> & { readonly source: { readonly bank: AdapterBank } },
): TableOf {
  const { inputs, source } = run;
  const input = ({ label }: Node): Uint32Array | undefined => {
    const data = inputs[label];
    return data instanceof Uint32Array ? data : undefined;
  };
  return ({ node }) => {
    switch (node.kind) {
      case "input":
        return input(node);
      case "parameter":
        return source.bank.slotsIn(node.label);
      case "op": {
        const most = node.inputs[CAPACITIES]?.node;
        return most === undefined ? undefined : input(most);
      }
      case "view":
        return undefined;
    }
  };
}
