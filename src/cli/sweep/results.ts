/** @file What a sweep leaves behind besides its points: a table, all results as JSON, curves and their report, and a plot. */

import { join } from "node:path";
import { reportCurve } from "../../sweep/curve.ts";
import { missingPoints } from "../../sweep/manifest.ts";
import type { Manifest, Records } from "../../sweep/manifest.ts";
import { sweepPlot } from "../../sweep/plot.ts";
import { recordsInOrder, sweepTable } from "../../sweep/table.ts";
import { renderRoutingReport } from "../../routing/report.ts";
import { traceOf } from "../../routing/trace.ts";
import type { RoutingTrace } from "../../routing/trace.ts";
import type { Io } from "../command.ts";
import { writeWhole } from "../files.ts";

function resultsJson(manifest: Manifest, records: Records): string {
  const { name, fingerprint, metric, ascending } = manifest;
  const results = {
    format: "adapters-webgpu/sweep-results",
    version: 1,
    name,
    fingerprint,
    metric,
    ascending,
    missing: missingPoints(manifest, records),
  };
  // One point a line: a diff shows which one changed.
  const points = recordsInOrder(manifest, records).map(
    ({ format: _, version: __, fingerprint: ___, ...point }) => `  ${JSON.stringify(point)}`,
  );
  return `${JSON.stringify(results, null, 1).slice(0, -2)},\n "points": [\n${points.join(",\n")}\n ]\n}\n`;
}

/** Curves as a routing trace without sequences: what the routing report draws, and any trace may carry. */
function curveTrace(manifest: Manifest, records: Records): RoutingTrace {
  const devices = [...new Set([...records.values()].map(({ device }) => String(device.name)))].join(", ");
  const head = { model: manifest.name, device: devices, settings: {} };
  return traceOf(head, 0, [], reportCurve(manifest, records));
}

/** Writes the results of all points that are there, each file whole, and prints the table or the JSON. */
export async function writeResults(
  folder: string,
  manifest: Manifest,
  records: Records,
  { json, io }: { readonly json: boolean; readonly io: Io },
): Promise<void> {
  const [table, results] = [sweepTable(manifest, records), resultsJson(manifest, records)];
  const trace = curveTrace(manifest, records);
  const files: Readonly<Record<string, string>> = {
    "table.md": table,
    "results.json": results,
    "curve.json": `${JSON.stringify(trace)}\n`,
    "report.html": renderRoutingReport(trace),
    "plot.svg": sweepPlot(manifest, records),
  };
  for (const [name, content] of Object.entries(files)) await writeWhole(join(folder, name), content);
  io.stdout.write(json ? results : table);
  io.stderr.write(`wrote ${Object.keys(files).join(", ")} to ${folder}\n`);
}
