/**
 * @file Strict JSON with positions. `JSON.parse` silently keeps the last of two equal keys, which would let two readers
 * of one file see different tensors; this parser refuses duplicates, bounds nesting, and says line and column.
 */

import { badFile } from "./bad-file.ts";
import { decodeUtf8 } from "./byte-reader.ts";

/** A JSON object as read: values are null, booleans, finite numbers, strings, arrays and objects. */
export type JsonObject = Record<string, unknown>;

/** Deeper than any configuration; bounds the recursion. */
const MAX_DEPTH = 100;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

const LITERALS: readonly (readonly [string, unknown])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/** Whether a parsed value is a JSON object (not an array, not null). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses JSON text.
 * @throws EngineError `BAD_FILE` with line and column: syntax, duplicate keys, `NaN`/`Infinity`, numbers out of range.
 */
export function parseJson(text: string, where: string): unknown {
  return new JsonParser(text, where).document();
}

/**
 * Reads a UTF-8 file whose root is a JSON object.
 * @example
 * const config = readJsonObject(await folder.read("config.json"), "config.json");
 */
export function readJsonObject(bytes: Uint8Array, where: string): JsonObject {
  const value = parseJson(decodeUtf8(bytes, where), where);
  if (!isJsonObject(value)) throw badFile(where, "the root must be a JSON object.");
  return value;
}

class JsonParser {
  private readonly text: string;
  private readonly where: string;
  private readonly space: RegExp = /[ \t\n\r]*/y;
  private readonly number: RegExp = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
  private at = 0;
  private depth = 0;

  constructor(text: string, where: string) {
    this.text = text;
    this.where = where;
  }

  document(): unknown {
    const value = this.value();
    this.skipSpace();
    if (this.at < this.text.length) this.fail("text after the end of the JSON value");
    return value;
  }

  private fail(problem: string, at: number = this.at): never {
    const before = this.text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    throw badFile(this.where, `JSON line ${line}, column ${column}: ${problem}.`, "Correct the JSON at this place.");
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private skipSpace(): void {
    this.match(this.space);
  }

  /** Skips space and consumes `character` if it comes next. */
  private consume(character: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private value(): unknown {
    this.skipSpace();
    const first = this.text[this.at];
    if (first === "{" || first === "[") {
      this.depth += 1;
      if (this.depth > MAX_DEPTH) this.fail(`nested deeper than ${MAX_DEPTH}`);
      this.at += 1;
      const container = first === "{" ? this.object() : this.array();
      this.depth -= 1;
      return container;
    }
    if (first === '"') return this.string();
    const literal = LITERALS.find(([word]) => this.text.startsWith(word, this.at));
    if (literal !== undefined) {
      this.at += literal[0].length;
      return literal[1];
    }
    const start = this.at;
    const digits = this.match(this.number);
    if (digits === "")
      this.fail(first === undefined ? "the text ends here" : `a value was expected, not ${quote(first)}`);
    const parsed = Number(digits);
    if (!Number.isFinite(parsed)) this.fail("the number is out of range", start);
    return parsed;
  }

  private array(): unknown[] {
    const items: unknown[] = [];
    if (this.consume("]")) return items;
    do items.push(this.value());
    while (this.consume(","));
    if (!this.consume("]")) this.fail('"," or "]" was expected');
    return items;
  }

  private object(): JsonObject {
    const object: JsonObject = {};
    if (this.consume("}")) return object;
    do {
      this.skipSpace();
      const start = this.at;
      if (this.text[start] !== '"') this.fail("a key in double quotes was expected");
      const key = this.string();
      if (Object.hasOwn(object, key)) this.fail(`the key ${quote(key)} stands here a second time`, start);
      if (!this.consume(":")) this.fail('":" was expected');
      const value = this.value();
      // Plain assignment to this one key would replace the prototype instead of storing the value.
      if (key === "__proto__") Object.defineProperty(object, key, { value, enumerable: true, configurable: true });
      else object[key] = value;
    } while (this.consume(","));
    if (!this.consume("}")) this.fail('"," or "}" was expected');
    return object;
  }

  private string(): string {
    this.at += 1;
    let result = this.plain();
    while (this.text[this.at] === "\\") {
      result += this.escape();
      result += this.plain();
    }
    if (this.text[this.at] !== '"') this.fail("the string has no end or holds a control character");
    this.at += 1;
    return result;
  }

  /** The characters up to the next quote, backslash, control character or the end. */
  private plain(): string {
    const start = this.at;
    for (let code = this.text.charCodeAt(start); code >= 0x20 && code !== 0x22 && code !== 0x5c;) {
      this.at += 1;
      code = this.text.charCodeAt(this.at);
    }
    return this.text.slice(start, this.at);
  }

  private escape(): string {
    const letter = this.text[this.at + 1] ?? "";
    if (letter === "u") {
      const digits = this.text.slice(this.at + 2, this.at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail("\\u needs four hexadecimal digits");
      this.at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    if (!Object.hasOwn(ESCAPES, letter)) this.fail(`unknown escape ${quote(`\\${letter}`)}`);
    this.at += 2;
    return ESCAPES[letter] as string;
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
