/** @file The sections about tokens: kept share by type, and the tokens that were most and least often heavy. */

import { escapeMarkup } from "../plot/escape.ts";
import { count, meter, percent, scrolling, section, shorten, tokenHtml } from "./report-html.ts";
import { stepOf } from "./report-palette.ts";
import type { TokenStatistics, TraceStatistics } from "./report-statistics.ts";
import { typeLoads } from "./trace-measures.ts";
import { placedType } from "./trace-token-types.ts";
import type { RoutingTrace } from "./trace-types.ts";

/** Tokens in each of the tables of tokens that were most and least often heavy. */
const TABLE_ROWS = 8;
/** Types drawn, the most frequent ones. */
const TYPE_ROWS = 24;

/** Kept share of every token type, over all layers and layer by layer; nothing where all tokens are of one type. */
export function renderTypes(trace: RoutingTrace): string {
  const loads = typeLoads(trace);
  if (loads.length < 2) return "";
  const routed = Array.from({ length: trace.layers }, (_, layer) => layer).filter((layer) =>
    loads.some(({ layers }) => (layers[layer] ?? null) !== null),
  );
  const rows = loads.slice(0, TYPE_ROWS).map(({ type, tokens, share, layers }) => {
    const cells = routed.map((layer) => {
      const value = layers[layer] ?? null;
      if (value === null) return '<td class="shade">–</td>';
      const tip = `${escapeMarkup(type)}, layer ${layer}: ${percent(value)}`;
      return `<td class="shade h${stepOf(value)}" title="${tip}">${Math.round(100 * value)}</td>`;
    });
    const name = `<th scope="row"><bdi>${escapeMarkup(shorten(type, 24))}</bdi></th>`;
    return `<tr>${name}<td>${count(tokens)}</td>${meter(share)}<td>${percent(share)}</td>${cells.join("")}</tr>`;
  });
  const heads = ["Type", "Tokens", "", "Heavy"].map((head) => `<th scope="col">${head}</th>`).join("");
  const layerHeads = routed
    .map((layer) => `<th scope="col" class="shade" title="layer ${layer}">${layer}</th>`)
    .join("");
  const rest = loads.length > TYPE_ROWS ? ` The ${TYPE_ROWS} most frequent of ${loads.length} types.` : "";
  return section(
    "types",
    "By token type",
    `Share of routed layers in which tokens of a type were heavy, over all and, in %, layer by layer.${rest}`,
    scrolling(
      "Table of token types",
      `<table class="types"><thead><tr>${heads}${layerHeads}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`,
    ),
  );
}

function tokenTable(caption: string, rows: readonly TokenStatistics[]): string {
  const body = rows.map(({ token, occurrences, share }) => {
    const name = `<th scope="row" class="mono"><bdi>${tokenHtml(shorten(token, 18))}</bdi></th>`;
    return `<tr>${name}${meter(share)}<td>${percent(share)}</td><td>${count(occurrences)}</td></tr>`;
  });
  const heads = ["Token", "", "Heavy", "Times"].map((head) => `<th scope="col">${head}</th>`).join("");
  return `<table><caption>${caption}</caption><thead><tr>${heads}</tr></thead><tbody>${body.join("\n")}</tbody></table>`;
}

/** The tokens at both ends of the order; only those that stand in the trace often enough to mean something. */
export function renderVocabulary(numbers: TraceStatistics): string {
  const enough = Math.max(2, Math.ceil(numbers.tokens / 1000));
  // Tokens that are named after their places say nothing beyond the maps.
  const common = numbers.vocabulary.filter(
    ({ token, occurrences }) => occurrences >= enough && placedType(token) === null,
  );
  if (common.length < 2) return "";
  const half = Math.min(TABLE_ROWS, Math.floor(common.length / 2));
  return section(
    "vocabulary",
    "By token",
    `Share of routed layers in which a token was heavy; tokens that occur at least ${enough} times.`,
    `<div class="tables">${tokenTable("Most often heavy", common.slice(0, half))}`,
    `${tokenTable("Least often heavy", common.slice(-half).reverse())}</div>`,
  );
}
