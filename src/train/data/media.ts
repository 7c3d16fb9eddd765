/** @file Readers of labelled clips and images. */

import { EngineError } from "../../errors.ts";
import { readIdxImages, readIdxLabels } from "../../formats/idx.ts";
import { parseTable } from "../../inputs/csv.ts";
import { cutRawClips } from "../../inputs/raw-clips.ts";
import type { Row, RowReader } from "./data.ts";

/** Clips of one file of samples, cut and labelled by a table. Their rate is filled in by the caller where the configuration has none. */
export const readClipRows: RowReader = async ({ files }, config, source) => {
  const [path, tablePath] = [files.clips as string, files.table as string];
  const table = parseTable(await source.text(tablePath), { where: tablePath });
  for (const name of ["offset_samples", "samples"]) table.column(name);
  const labels = config.labels.map((name) => table.column(name));
  const sets = config.split?.by === "column" ? table.column(config.split.column) : null;
  const clips = cutRawClips({ bytes: await source.bytes(path), where: path, table, tableWhere: tablePath, length: 1 });
  return clips.map(({ place, samples }, row): Row => ({
    place,
    content: { kind: "audio", samples, sampleRate: config.sampleRate ?? 0 },
    labels: labels.map((column) => (column[row] as string).trim()),
    set: sets === null ? null : (sets[row] as string),
  }));
};

/** Images and labels as MNIST has them. */
export const readImageRows: RowReader = async ({ files }, _, source) => {
  const [path, labelPath] = [files.images as string, files.labels as string];
  const { images, shape } = readIdxImages(await source.bytes(path), path);
  const labels = readIdxLabels(await source.bytes(labelPath), labelPath);
  if (labels.length !== images.length) {
    const message = `${labelPath} holds ${labels.length} labels, ${path} ${images.length} images`;
    throw new EngineError("BAD_FILE", message, { where: labelPath, fix: "name the two files of one set" });
  }
  return images.map((data, index): Row => ({
    place: `${path}, image ${index}`,
    content: { kind: "image", image: { data, shape } },
    labels: [String(labels[index])],
    set: null,
  }));
};
