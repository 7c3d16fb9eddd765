/** @file Text in HTML and SVG: the only way by which tokens, names and titles enter a page or a drawing. */

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

/**
 * Escapes text for an element or a quoted attribute. Controls and halves of surrogate pairs, which have no place in XML and would not
 * be seen in HTML, become visible signs.
 */
export function escapeMarkup(text: string): string {
  return text
    .replace(/\p{Cc}/gu, controlSign)
    .replace(/[\uFFFE\uFFFF]|\p{Cs}/gu, "\uFFFD")
    .replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}
