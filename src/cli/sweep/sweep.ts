/** @file `sweep`: routers × reduction × attention × layers over a data set, point by point on disk. */

import { resolve } from "node:path";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Model } from "../../model/model.ts";
import { gridOf, pointsOf } from "../../sweep/grid.ts";
import type { GridPoint } from "../../sweep/grid.ts";
import type { Manifest } from "../../sweep/manifest.ts";
import { metricOf } from "../../sweep/metric.ts";
import { policyOf } from "../../sweep/policy.ts";
import { expectSame } from "../../sweep/record.ts";
import type { PointRecord } from "../../sweep/record.ts";
import { setActiveField } from "../active.ts";
import { isPreset } from "../adapter-options.ts";
import type { Command, Io } from "../command.ts";
import { deviceRecord, openDevice } from "../device.ts";
import { loadPlaced } from "../load-placed.ts";
import { readBatches, readConfidences } from "./data.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { mergeSweeps } from "./merge.ts";
import { SWEEP_HELP, readMergeRequest, readSweepRequest } from "./options.ts";
import type { SweepRequest } from "./options.ts";
import { writeResults } from "./results.ts";
import { computePoints } from "./run.ts";
import { makeStore, readManifest, readPoints, writeManifest, writePoint } from "./store.ts";

async function addAdapters(model: Model, { config, root }: SweepRequest, io: Io): Promise<void> {
  for (const [name, place] of Object.entries(config.adapters)) {
    const { summary } = await model.addAdapter(name, isPreset(place) ? place : resolve(root, place));
    io.stderr.write(`${summary}\n`);
  }
  setActiveField(model, config.active, Object.keys(config.adapters));
}

/** Refuses combinations that cannot run, before anything runs. */
function checkPoints(points: readonly GridPoint[], model: Model): void {
  for (const { settings } of points) model.setRouting(policyOf(settings, model.host.shape.layers));
  model.setRouting(null);
}

/** The folder's own sweep must be this one; its points are kept, whatever the axes were. */
async function openFolder(out: string, manifest: Manifest): Promise<Map<string, PointRecord>> {
  const there = await readManifest(out);
  if (there !== null) expectSame(there.fingerprint, manifest.fingerprint, out);
  const records = await readPoints(out, manifest.fingerprint);
  await makeStore(out);
  await writeManifest(out, manifest);
  return records;
}

async function sweep(request: SweepRequest, model: Model, gpu: Gpu, io: Io): Promise<void> {
  const { config, root, out, shard } = request;
  const metric = metricOf(config.task);
  const points = gridOf(config.axes, model.host.shape.layers, config.task);
  await addAdapters(model, request, io);
  checkPoints(points, model);
  const [{ batches, notes }, published, fingerprint] = [
    await readBatches(config, root, model),
    await readConfidences(config, root),
    await fingerprintOf(config, root, model.report.file),
  ];
  for (const note of notes) io.stderr.write(`${note}\n`);
  const { main, ascending } = metric;
  const about = { format: "adapters-webgpu/sweep", version: 1, name: config.name, fingerprint } as const;
  const manifest: Manifest = { ...about, metric: main, ascending, points };
  const records = await openFolder(out, manifest);
  const own = pointsOf(points, shard);
  const left = own.filter(({ id }) => !records.has(id));
  const whose = shard.count === 1 ? "" : ` of shard ${shard.index}/${shard.count}`;
  io.stderr.write(
    `${own.length - left.length} of ${own.length} points${whose} are in ${out}, ${left.length} to compute\n`,
  );
  if (left.length > 0) {
    const work = { model, config, metric, batches, published, fingerprint, device: deviceRecord(gpu.info) };
    const finished = async (record: PointRecord): Promise<void> => {
      await writePoint(out, record);
      records.set(record.id, record);
    };
    await computePoints(work, left, finished, io);
  }
  // Other shards may have finished points in the meantime.
  await writeResults(out, manifest, await readPoints(out, fingerprint), { json: request.json, io });
}

/** The command `sweep`. */
export const sweepCommand: Command = {
  name: "sweep",
  summary: "routers × reduction × attention × layers over a data set, resumable and in shards",
  help: SWEEP_HELP,
  async run(args, io) {
    const [first, ...rest] = args;
    if (first === "merge") {
      await mergeSweeps(readMergeRequest(rest), io);
      return 0;
    }
    const request = await readSweepRequest(args);
    const gpu = await openDevice(request.device, io);
    try {
      const model = await loadPlaced(request.config.model, request.root, gpu);
      try {
        await sweep(request, model, gpu, io);
      } finally {
        await model.dispose();
      }
    } finally {
      await gpu.dispose();
    }
    return 0;
  },
};
