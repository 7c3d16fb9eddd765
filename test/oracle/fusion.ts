/** @file AdapterFusion as it is written down (MATHS §2.4), unfolded. */

import type { Saved } from "./adapter-files.ts";
import { sitePath } from "./bottleneck.ts";
import type { OracleHost, Site } from "./host.ts";
import { add, at, linear, need, softmax } from "./rows.ts";
import type { Rows, Tensor } from "./rows.ts";

/** The fusion of one layer and site. */
export interface Fusion {
  /** Whether the query is what entered the pre step rather than what left it. */
  readonly queryBeforeLn: boolean;
  /** `Σ p_a V_a` plus the skip, for the query, the children's scaled up-outputs and the skip. */
  mix(query: Rows, ups: readonly Rows[], res: Rows): Rows;
}

/** The library's temperature starts here and falls by a thousandth per call, also in evaluation. */
const FIRST_TEMPERATURE = 50;

/**
 * Reads a fusion.
 * @param compat the temperature counts calls.
 * @param calls how many passes the library's model had run before.
 */
export function readFusionAt(
  host: OracleHost,
  saved: Saved,
  layer: number,
  site: Site,
  compat: boolean,
  calls: number,
): Fusion {
  const { config } = saved;
  const path = `${sitePath(host, layer, site)}.adapter_fusion_layer.${saved.name}.`;
  const through = (part: "query" | "key" | "value", x: Rows): Rows => {
    if (config[part] !== true) return x;
    const bias: Tensor | undefined = part === "value" ? undefined : saved.get(`${path}${part}.bias`);
    return linear(x, saved.get(`${path}${part}.weight`), bias);
  };
  const cooled = FIRST_TEMPERATURE - (calls * FIRST_TEMPERATURE) / 1000;
  const temperature = config["temperature"] === true && compat ? Math.max(cooled, 1) : 1;
  const residualBefore = config["residual_before"] === true;
  return {
    queryBeforeLn: config["query_before_ln"] === true,
    mix: (query, ups, res) => {
      // Upstream the skip reaches the keys as well; equal for all adapters, it falls out of the softmax.
      const given = residualBefore ? ups.map((up) => add(up, res)) : ups;
      const keys = ups.map((up) => through("key", up));
      const early = config["value_before_softmax"] === true;
      const values = given.map((value) => (early ? through("value", value) : value));
      const mixed = weigh(through("query", query), keys, values, temperature);
      const context = early ? mixed : through("value", mixed);
      return residualBefore ? context : add(context, res);
    },
  };
}

function weigh(query: Rows, keys: readonly Rows[], values: readonly Rows[], temperature: number): Rows {
  return query.map((q, row) => {
    const scores = keys.map((key) => {
      const k = need(key[row], "a key row");
      return q.reduce((sum, value, i) => sum + value * at(k, i), 0) / temperature;
    });
    const weights = softmax(scores);
    return q.map((_, i) =>
      weights.reduce((sum, weight, a) => sum + weight * at(need(values[a]?.[row], "a value row"), i), 0),
    );
  });
}
