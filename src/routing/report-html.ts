/** @file Tokens, numbers and sections as HTML, as all parts of the report write them. */

import { escapeMarkup } from "../plot/escape.ts";

/** A token as it is drawn: one that is empty or only spaces gets a sign. Escaped. */
export function tokenHtml(token: string): string {
  if (token === "") return "∅";
  return escapeMarkup(/^ +$/.test(token) ? "␣".repeat(token.length) : token);
}

/** At most `length` characters, with an ellipsis for the rest. Not escaped. */
export function shorten(text: string, length: number): string {
  const characters = Array.from(text);
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/** `0.3333` as `33.3 %`. */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–";
}

/** A count with thin spaces between thousands. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202F");
}

/** A number in at most `digits` digits, without trailing zeros; a real minus sign. */
export function numeral(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "–";
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/** A table in a region of its own that scrolls sideways where the page is narrow. `label` is escaped. */
export function scrolling(label: string, content: string): string {
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeMarkup(label)}">${content}</div>`;
}

/** A section with a heading and a sentence that says what is to be seen. */
export function section(id: string, title: string, lead: string, ...content: readonly string[]): string {
  const intro = lead === "" ? "" : `<p class="soft">${lead}</p>`;
  return [`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>`, intro, ...content, "</section>"]
    .filter((part) => part !== "")
    .join("\n");
}

/** A horizontal bar in a table cell. */
export function meter(share: number): string {
  const width = Number.isFinite(share) ? (100 * Math.min(1, Math.max(0, share))).toFixed(1) : "0";
  return `<td class="wide"><span class="meter"><i style="width:${width}%"></i></span></td>`;
}
