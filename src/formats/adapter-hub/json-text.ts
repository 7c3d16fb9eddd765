/** @file JSON as Python's `json.dump(…, indent=2, sort_keys=True)` writes it, which is how the library saves configurations. */

/**
 * Fields that the library wants as floats: it refuses an integer `scaling`. JavaScript cannot tell 1 from 1.0, so the
 * field's name decides.
 */
const floatFields: ReadonlySet<string> = new Set([
  "dropout",
  "dropout_prob",
  "lora_dropout",
  "phm_init_range",
  "scaling",
  "stochastic_depth",
  "vera_b",
  "vera_d",
  "weights",
]);

/** Bytes of a JSON file: two spaces of indent, keys sorted unless told otherwise, everything beyond ASCII escaped. */
export function jsonBytes(value: unknown, sortKeys: boolean = true): Uint8Array {
  return new TextEncoder().encode(text(value, "", "", sortKeys));
}

function text(value: unknown, indent: string, field: string, sortKeys: boolean): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((item) => inner + text(item, inner, field, sortKeys)).join(",\n")}\n${indent}]`;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : 1));
    if (entries.length === 0) return "{}";
    const lines = entries.map(([key, item]) => `${inner}${quoted(key)}: ${text(item, inner, key, sortKeys)}`);
    return `{\n${lines.join(",\n")}\n${indent}}`;
  }
  if (typeof value === "number" && Number.isInteger(value) && floatFields.has(field)) return value.toFixed(1);
  return typeof value === "string" ? quoted(value) : JSON.stringify(value);
}

function quoted(value: string): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
