/** @file Reader of CSV (RFC 4180) and TSV text with a header line, by column. */

import { EngineError } from "../errors.ts";

/** A table of strings. */
export interface Table {
  readonly columns: readonly string[];
  /** Rows below the header, each as long as the header. */
  readonly rows: readonly (readonly string[])[];
  /** Line of the file, from 1, on which each row begins. */
  readonly lines: readonly number[];
  /** The values of a column. @throws EngineError `UNKNOWN_NAME`, or `BAD_FILE` for a name that stands there twice. */
  column(name: string): string[];
}

/** How a table is written. */
export interface TableOptions {
  /** Default: a tab where the header line has one, else a comma. */
  readonly delimiter?: "," | "\t" | undefined;
  /**
   * Whether `"` encloses fields. Default: in CSV yes, in TSV no, where a quotation mark is a character like any other
   * (IANA's text/tab-separated-values).
   */
  readonly quotes?: boolean | undefined;
  /** Named in errors. */
  readonly where?: string | undefined;
}

interface Scan {
  readonly text: string;
  readonly delimiter: string;
  readonly quotes: boolean;
  readonly where: string;
  at: number;
  line: number;
}

function refuse(scan: Scan, line: number, message: string, fix: string): never {
  throw new EngineError("BAD_FILE", `line ${line}: ${message}`, { where: `${scan.where}:${line}`, fix });
}

/** Reads the quoted field that begins at `scan.at` and leaves `scan.at` behind its closing mark. */
function quotedField(scan: Scan): string {
  const opened = scan.line;
  let field = "";
  for (let from = scan.at + 1; ;) {
    const mark = scan.text.indexOf('"', from);
    if (mark < 0) refuse(scan, opened, "a quoted field is never closed", 'Close it, or write "" for a quotation mark.');
    const part = scan.text.slice(from, mark);
    scan.line += part.split("\n").length - 1;
    field += part;
    scan.at = mark + 1;
    if (scan.text[scan.at] !== '"') break;
    field += '"';
    from = mark + 2;
  }
  const next = scan.text[scan.at];
  if (next !== undefined && next !== scan.delimiter && next !== "\n" && !scan.text.startsWith("\r\n", scan.at)) {
    refuse(scan, scan.line, "text follows a closing quotation mark", 'Write "" for a quotation mark inside a field.');
  }
  return field;
}

/** Reads a field without quotation marks around it, up to the delimiter or the end of the line. */
function plainField(scan: Scan): string {
  const start = scan.at;
  while (scan.at < scan.text.length && scan.text[scan.at] !== scan.delimiter && scan.text[scan.at] !== "\n")
    scan.at += 1;
  const endsLine = scan.text[scan.at] !== scan.delimiter;
  const field = scan.text.slice(start, scan.at);
  return endsLine && field.endsWith("\r") ? field.slice(0, -1) : field;
}

/** Reads the fields of one record and leaves `scan.at` at the start of the next. */
function record(scan: Scan): string[] {
  const fields: string[] = [];
  for (;;) {
    fields.push(scan.quotes && scan.text[scan.at] === '"' ? quotedField(scan) : plainField(scan));
    if (scan.text[scan.at] !== scan.delimiter) break;
    scan.at += 1;
  }
  if (scan.text[scan.at] === "\r") scan.at += 1;
  scan.at += 1;
  scan.line += 1;
  return fields;
}

/** Rows that are named in an error; of more, their number. */
const NAMED_ROWS = 3;

/** Rows of another length than the header, all in one error. */
function refuseBroken(scan: Scan, broken: readonly { line: number; fields: number }[], columns: number): void {
  const [first] = broken;
  if (first === undefined) return;
  const named = broken.slice(0, NAMED_ROWS).map(({ line, fields }) => `line ${line}: ${fields} fields`);
  const more = broken.length > named.length ? [`and ${broken.length - named.length} more`] : [];
  throw new EngineError(
    "BAD_FILE",
    `${named.join(", ")} under ${columns} columns${more.map((text) => `, ${text}`).join("")}`,
    {
      where: `${scan.where}:${first.line}`,
      fix: "Quote fields that hold the delimiter.",
    },
  );
}

function columnOf(table: Omit<Table, "column">, name: string, where: string): string[] {
  const index = table.columns.indexOf(name);
  if (index < 0) {
    const known = table.columns.map((column) => JSON.stringify(column)).join(", ");
    throw new EngineError("UNKNOWN_NAME", `there is no column ${JSON.stringify(name)}`, {
      where,
      fix: `Name one of ${known}.`,
    });
  }
  if (table.columns.lastIndexOf(name) !== index) {
    throw new EngineError("BAD_FILE", `the column ${JSON.stringify(name)} stands there twice`, {
      where: `${where}:1`,
      fix: "Rename one of them.",
    });
  }
  return table.rows.map((row) => row[index] ?? "");
}

/**
 * Reads a table. LF and CRLF line ends, a byte order mark and a missing last line end are accepted; empty lines are
 * skipped; spaces belong to their fields. A quotation mark inside a field that does not begin with one is itself.
 * @throws EngineError `BAD_FILE` with the lines of rows of another length than the header, fields that are not closed,
 * and text behind a closing mark.
 * @example
 * parseTable("id,rxn\n1,CCO>>CC=O\n").column("rxn"); // ["CCO>>CC=O"]
 */
export function parseTable(source: string, options: TableOptions = {}): Table {
  const text = source.replace(/^\uFEFF/, "");
  const where = options.where ?? "the table";
  const header = /^[^\n]*/.exec(text)?.[0] ?? "";
  const delimiter = options.delimiter ?? (header.includes("\t") ? "\t" : ",");
  const scan: Scan = { text, delimiter, quotes: options.quotes ?? delimiter === ",", where, at: 0, line: 1 };
  const columns: string[] = [];
  const rows: string[][] = [];
  const lines: number[] = [];
  const broken: { line: number; fields: number }[] = [];
  while (scan.at < text.length) {
    const { line, at } = scan;
    const fields = record(scan);
    if (/^\r?\n?$/.test(text.slice(at, Math.min(scan.at, at + 3)))) continue;
    if (columns.length === 0) {
      columns.push(...fields);
      continue;
    }
    if (fields.length !== columns.length) {
      broken.push({ line, fields: fields.length });
      continue;
    }
    rows.push(fields);
    lines.push(line);
  }
  refuseBroken(scan, broken, columns.length);
  if (columns.length === 0) refuse(scan, 1, "there is no header line", "Name the columns on the first line.");
  const table = { columns, rows, lines };
  return { ...table, column: (name) => columnOf(table, name, where) };
}
