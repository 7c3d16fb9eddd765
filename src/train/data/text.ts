/** @file Readers of labelled texts: tables, lines, JSON. */

import { EngineError } from "../../errors.ts";
import { parseTable } from "../../inputs/csv.ts";
import { linesOf } from "../../inputs/lines.ts";
import type { DataConfig } from "../config/data.ts";
import type { Content, Row, RowReader } from "./data.ts";
import { Problems } from "./problems.ts";

function pathOf(files: Readonly<Record<string, string>>, name: string): string {
  return files[name] as string;
}

function textContent(parts: readonly string[]): Content {
  const [first = "", second] = parts;
  return { kind: "text", text: second === undefined ? first : [first, second] };
}

/** Texts must say something; labels are looked at later. */
function checkText(parts: readonly string[], line: number | string, problems: Problems): void {
  if (parts.some((part) => part.trim() === "")) problems.add(line, "the text is empty");
}

/** Columns of a CSV or TSV file. */
export const readTableRows: RowReader = async ({ files }, config, source) => {
  const path = pathOf(files, "table");
  const table = parseTable(await source.text(path), {
    delimiter: /\.tsv(\.gz)?$/i.test(path) ? "\t" : undefined,
    where: path,
  });
  const problems = new Problems(path);
  const texts = config.text.map((name) => table.column(name));
  const labels = config.labels.map((name) => table.column(name));
  const sets = config.split?.by === "column" ? table.column(config.split.column) : null;
  const rows = table.lines.map((line, row): Row => {
    const parts = texts.map((column) => column[row] as string);
    checkText(parts, line, problems);
    return {
      place: `${path}:${line}`,
      content: textContent(parts),
      labels: labels.map((column) => (column[row] as string).trim()),
      set: sets === null ? null : (sets[row] as string),
    };
  });
  problems.refuse("give every row a text");
  return rows;
};

/** `label text` a line. */
export const readLabelledLines: RowReader = async ({ files }, _, source) => {
  const path = pathOf(files, "lines");
  const problems = new Problems(path);
  const rows = linesOf(await source.text(path)).flatMap((line, index): Row[] => {
    if (line.trim() === "") return [];
    const [, label = "", text = ""] = /^(\S+)\s+(\S.*)$/.exec(line) ?? [];
    if (label === "") problems.add(index + 1, "expected a label, a space and a text");
    return [{ place: `${path}:${index + 1}`, content: textContent([text]), labels: [label], set: null }];
  });
  problems.refuse("write a label, a space and a text a line");
  return rows;
};

/** Texts of one file, labels of another, line by line. */
export const readPairedLines: RowReader = async ({ files }, _, source) => {
  const [path, labelPath] = [pathOf(files, "lines"), pathOf(files, "labels")];
  const [texts, labels] = [linesOf(await source.text(path)), linesOf(await source.text(labelPath))];
  if (texts.length !== labels.length) {
    const message = `${labelPath} has ${labels.length} lines, ${path} has ${texts.length}`;
    throw new EngineError("BAD_FILE", message, { where: labelPath, fix: "give one label per line" });
  }
  const problems = new Problems(path);
  const rows = texts.map((text, index): Row => {
    checkText([text], index + 1, problems);
    const place = `${path}:${index + 1}`;
    return { place, content: textContent([text]), labels: [(labels[index] as string).trim()], set: null };
  });
  problems.refuse("leave the lines out, with their labels");
  return rows;
};

/** A label in JSON: a text, a number, true or false; null and nothing are missing. */
function jsonLabel(value: unknown): string | null {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "1" : "0";
  return typeof value === "string" || typeof value === "number" ? String(value) : null;
}

function jsonLabels(value: Readonly<Record<string, unknown>>, { labels }: DataConfig): (string | null)[] {
  const [only] = labels;
  const list = labels.length === 1 ? value[only as string] : undefined;
  return Array.isArray(list) ? list.map(jsonLabel) : labels.map((name) => jsonLabel(value[name]));
}

/** One object a line. */
export const readJsonLines: RowReader = async ({ files }, config, source) => {
  const path = pathOf(files, "lines");
  const problems = new Problems(path);
  const rows = linesOf(await source.text(path)).flatMap((line, index): Row[] => {
    if (line.trim() === "") return [];
    let value: unknown = null;
    try {
      value = JSON.parse(line);
    } catch {
      // Said below, with the other lines that are broken.
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      problems.add(index + 1, "it is no JSON object");
      return [];
    }
    const fields = value as Record<string, unknown>;
    const parts = config.text.map((name) => fields[name]);
    const labels = jsonLabels(fields, config);
    const bad = config.text.find((_, at) => typeof parts[at] !== "string");
    if (bad !== undefined) problems.add(index + 1, `the field ${JSON.stringify(bad)} is no text`);
    else checkText(parts as string[], index + 1, problems);
    if (labels.includes(null)) problems.add(index + 1, "a label is neither a text nor a number");
    const place = `${path}:${index + 1}`;
    return [{ place, content: textContent(parts as string[]), labels: labels.map((label) => label ?? ""), set: null }];
  });
  problems.refuse("write one object with texts and labels a line");
  return rows;
};

/** An object of lists of [text, label]. */
export const readJsonLists: RowReader = async ({ files, lists }, _, source) => {
  const path = pathOf(files, "lists");
  let value: unknown;
  try {
    value = JSON.parse(await source.text(path));
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("BAD_FILE", `${path} is not JSON: ${(cause as Error).message}`, { where: path, cause });
  }
  const known = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const problems = new Problems(path);
  const rows = lists.flatMap((name) => {
    const list = known[name];
    if (!Array.isArray(list)) {
      const fix = `name some of ${Object.keys(known).join(", ")}`;
      throw new EngineError("UNKNOWN_NAME", `${path} has no list ${JSON.stringify(name)}`, { where: path, fix });
    }
    return list.map((pair: unknown, index): Row => {
      const [text, label] = Array.isArray(pair) ? (pair as unknown[]) : [];
      const place = `${name}[${index}]`;
      const said = jsonLabel(label);
      if (typeof text !== "string" || said === null || said === "") problems.add(place, "expected [text, label]");
      else checkText([text], place, problems);
      return { place: `${path}, ${place}`, content: textContent([String(text)]), labels: [said ?? ""], set: null };
    });
  });
  problems.refuse("write [text, label] for every example");
  return rows;
};
