/**
 * @file One engine in its own process: it verifies, then times what its parent asks for. Run by hand it does one round
 * and prints it.
 */

import { maxError, referenceOutput, TOLERANCE } from "./reference.mjs";
import { layerInput, layerWeights } from "./weights.mjs";

/** Inputs taken in turn, so that a result left over from the run before is found out. */
const INPUTS = 2;

/** Runs before the first timed one: pipelines, pools and caches settle. */
const WARM_UPS = 3;

/** @typedef {{ name: string, version: string, adapter: string, run: (x: Float32Array) => Promise<Float32Array> }} Engine */

/**
 * Opens an engine, verifies it and serves rounds.
 * @param {(weights: Record<string, Float32Array>) => Promise<Engine>} open
 */
export async function serve(open) {
  const weights = layerWeights();
  const inputs = Array.from({ length: INPUTS }, (_, index) => layerInput(index));
  const expected = inputs.map((input) => referenceOutput(weights, input));
  const { name, version, adapter, run } = await open(weights);
  let worst = 0;
  let turn = 0;

  /** One run from an input in JavaScript's memory to an output there; checked after the clock has stopped. */
  const timedRun = async () => {
    const index = turn++ % INPUTS;
    const start = performance.now();
    const output = await run(inputs[index]);
    const milliseconds = performance.now() - start;
    const error = maxError(output, expected[index]);
    if (!(error <= TOLERANCE)) throw new Error(`${name}: off by ${error}, more than ${TOLERANCE}`);
    worst = Math.max(worst, error);
    return milliseconds;
  };
  const round = async (repeats) => {
    const cpuStart = process.cpuUsage();
    const start = performance.now();
    const milliseconds = [];
    for (let i = 0; i < repeats; i++) milliseconds.push(await timedRun());
    const { user, system } = process.cpuUsage(cpuStart);
    const processor = (user + system) / 1000;
    const cores = processor / (performance.now() - start);
    return { name, version, adapter, milliseconds, processor: processor / repeats, cores, maxError: worst };
  };

  for (let i = 0; i < WARM_UPS; i++) await timedRun();
  if (process.send === undefined) {
    process.stdout.write(`${JSON.stringify(await round(5))}\n`);
    process.exit(0);
  }
  // A parent that is gone leaves nobody to serve.
  process.on("disconnect", () => process.exit(0));
  process.on("message", async (repeats) => process.send(await round(repeats)));
  process.send({ ready: true });
}
