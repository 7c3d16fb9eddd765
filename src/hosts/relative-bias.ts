/**
 * @file The relative position bias of T5 (Raffel et al. 2020; MATHS §3.3): distances between query and key fall into buckets, one
 * each near 0, ever wider ones further off, and every bucket has a learned number per head.
 */

import { EngineError } from "../errors.ts";
import { positive } from "./config.ts";
import type { Config } from "./config.ts";

/** How distances fall into buckets. */
export interface DistanceBuckets {
  /** Of both directions together: half of them for keys behind the query. */
  readonly count: number;
  /** From here on every distance is in the last bucket of its direction. */
  readonly maxDistance: number;
}

/** Longer tables would be no use: from about two thirds of it on, distances share a bucket. */
const LARGEST_DISTANCE = 65_536;

/**
 * Reads the buckets of a configuration.
 * @throws EngineError BAD_CONFIG where the distances leave no room for logarithmic buckets, UNSUPPORTED for very large ones
 */
export function distanceBuckets(config: Config): DistanceBuckets {
  const count = positive(config, "relative_attention_num_buckets", 32);
  const maxDistance = positive(config, "relative_attention_max_distance", 128);
  const refuse = (code: "BAD_CONFIG" | "UNSUPPORTED", field: string, text: string): never => {
    throw new EngineError(code, `config.json: ${field} is ${text}`, { where: field });
  };
  if (count < 4) refuse("BAD_CONFIG", "relative_attention_num_buckets", `${count}, expected at least 4`);
  const field = "relative_attention_max_distance";
  if (maxDistance > LARGEST_DISTANCE)
    refuse("UNSUPPORTED", field, `${maxDistance}, supported up to ${LARGEST_DISTANCE}`);
  const exact = exactOf(count);
  if (maxDistance <= exact)
    refuse("BAD_CONFIG", field, `${maxDistance}, expected more than the ${exact} exact buckets`);
  return { count, maxDistance };
}

/** Distances of one direction that have a bucket of their own. */
function exactOf(count: number): number {
  return Math.floor(Math.floor(count / 2) / 2);
}

/**
 * The bucket of `distance` = key position − query position. The logarithm is rounded to f32 at every step, as in the reference
 * code: at the borders of buckets the exact one would now and then choose the next.
 */
export function bucketOf(distance: number, { count, maxDistance }: DistanceBuckets): number {
  const share = Math.floor(count / 2);
  const exact = exactOf(count);
  const offset = distance > 0 ? share : 0;
  const far = Math.abs(distance);
  if (far < exact) return offset + far;
  const ratio = Math.fround(
    Math.fround(Math.log(Math.fround(far / exact))) / Math.fround(Math.log(maxDistance / exact)),
  );
  return offset + Math.min(share - 1, exact + Math.floor(Math.fround(ratio * (share - exact))));
}

/** The buckets of the distances −D … D, where D is the nearest distance at which both directions have reached their last one. */
export function bucketTable(buckets: DistanceBuckets): Uint32Array {
  const last = Math.floor(buckets.count / 2) - 1;
  let reach = 1;
  while (reach < buckets.maxDistance && bucketOf(-reach, buckets) < last) reach += 1;
  return Uint32Array.from({ length: 2 * reach + 1 }, (_, index) => bucketOf(index - reach, buckets));
}
