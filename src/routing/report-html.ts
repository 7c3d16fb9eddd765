/** @file Text as HTML: the only way by which strings of a trace enter the report. */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The sign of an ASCII control in the block Control Pictures; the others have none. */
function controlSign(control: string): string {
  const code = control.charCodeAt(0);
  return code < 32 ? String.fromCharCode(0x2400 + code) : "\uFFFD";
}

/** Escapes text for an element or a quoted attribute; controls and halves of surrogate pairs become visible signs. */
export function escapeHtml(text: string): string {
  return text
    .replace(/\p{Cc}/gu, controlSign)
    .replace(/[\uFFFE\uFFFF]|\p{Cs}/gu, "\uFFFD")
    .replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}

/** A token as it is drawn: one that is empty or only spaces gets a sign. Escaped. */
export function tokenHtml(token: string): string {
  if (token === "") return "∅";
  return escapeHtml(/^ +$/.test(token) ? "␣".repeat(token.length) : token);
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
