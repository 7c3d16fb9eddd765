/**
 * @file Times one BERT-base layer in adapters-webgpu and in its peers, in turns: round by round every engine runs a few
 * warm repeats while the others sleep, so that a slow minute of the machine falls on all of them.
 *
 *   node run.mjs [--rounds 5] [--repeats 3] [--only ours,jax] [--json FILE]
 */

import { fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { layer } from "./weights.mjs";

const ENGINES = ["ours", "jax", "ort"];

/** Every engine gets the same start: the TypeScript loader of the repository, which engine.mjs needs. */
const execArgv = ["--import", import.meta.resolve("tsx")];

const say = (text) => process.stderr.write(`${text}\n`);

/** The next message of a child; rejects when the child ends instead. */
function nextMessage(child, engine) {
  return new Promise((resolve, reject) => {
    const ended = (code, signal) => reject(new Error(`${engine} ended with ${signal ?? `code ${code}`}`));
    child.once("exit", ended);
    child.once("message", (message) => {
      child.off("exit", ended);
      resolve(message);
    });
  });
}

/** Starts an engine and waits until it is verified and warm. Engines start one after another, to leave each the machine. */
async function start(engine) {
  say(`${engine}: starting, verifying, warming up`);
  const child = fork(fileURLToPath(new URL(`${engine}.mjs`, import.meta.url)), [], { execArgv });
  await nextMessage(child, engine);
  return { engine, child };
}

function quantile(values, q) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const next = sorted[Math.min(low + 1, sorted.length - 1)];
  return sorted[low] + (next - sorted[low]) * (at - low);
}

const median = (values) => quantile(values, 0.5);

/** One engine's line; the ratio is the median over rounds of this engine's round median over ours. */
function summarise(engine, rounds, ours) {
  const { name, version, adapter } = rounds[0];
  const milliseconds = rounds.map((round) => round.milliseconds);
  const all = milliseconds.flat();
  const ratios = ours?.map((round, i) => median(milliseconds[i]) / median(round.milliseconds)) ?? [];
  return {
    engine,
    name,
    version,
    adapter,
    median: median(all),
    quartiles: [quantile(all, 0.25), quantile(all, 0.75)],
    least: Math.min(...all),
    ratio: ratios.length === 0 ? null : median(ratios),
    ratioRange: ratios.length === 0 ? null : [Math.min(...ratios), Math.max(...ratios)],
    leastRatio: ours === undefined ? null : Math.min(...all) / Math.min(...ours.flatMap((round) => round.milliseconds)),
    processor: median(rounds.map((round) => round.processor)),
    cores: median(rounds.map((round) => round.cores)),
    maxError: Math.max(...rounds.map((round) => round.maxError)),
    milliseconds,
  };
}

function table(summaries) {
  const head = [
    "engine",
    "median ms",
    "quartiles",
    "least",
    "peer/ours",
    "range",
    "processor ms",
    "cores",
    "max error",
  ];
  const lines = summaries.map((line) => [
    `${line.name} ${line.version}`,
    line.median.toFixed(1),
    line.quartiles.map((value) => value.toFixed(1)).join("–"),
    line.least.toFixed(1),
    line.ratio === null ? "–" : `${line.ratio.toFixed(2)} x`,
    line.ratioRange === null ? "–" : line.ratioRange.map((value) => value.toFixed(2)).join("–"),
    line.leastRatio === null ? "–" : `${line.leastRatio.toFixed(2)} x`,
    line.processor.toFixed(0),
    line.cores.toFixed(2),
    line.maxError.toExponential(1),
  ]);
  const widths = head.map((title, column) => Math.max(...[head, ...lines].map((line) => line[column].length)));
  const pad = (cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return [head, ...lines].map((line) => line.map(pad).join("  ")).join("\n");
}

function options() {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      repeats: { type: "string", default: "3" },
      only: { type: "string", default: ENGINES.join(",") },
      json: { type: "string" },
    },
  });
  const rounds = Number(values.rounds);
  const repeats = Number(values.repeats);
  const engines = values.only.split(",");
  const unknown = engines.find((engine) => !ENGINES.includes(engine));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: the engines are ${ENGINES.join(", ")}`);
  if (![rounds, repeats].every((value) => Number.isInteger(value) && value > 0))
    throw new Error("--rounds and --repeats are whole numbers above 0");
  return { rounds, repeats, engines, json: values.json };
}

async function main({ rounds, repeats, engines, json }) {
  const running = [];
  const results = new Map(engines.map((engine) => [engine, []]));
  try {
    for (const engine of engines) running.push(await start(engine));
    for (let i = 1; i <= rounds; i++) {
      for (const { engine, child } of running) {
        const answer = nextMessage(child, engine);
        child.send(repeats);
        const round = await answer;
        results.get(engine).push(round);
        say(`round ${i}/${rounds}  ${engine}: ${median(round.milliseconds).toFixed(1)} ms`);
      }
    }
  } finally {
    for (const { child } of running) if (child.connected) child.disconnect();
  }
  const ours = results.get("ours");
  const summaries = engines.map((engine) => summarise(engine, results.get(engine), ours));
  const { tokens, width, heads, ffnWidth } = layer;
  const adapters = [...new Set(summaries.map((line) => line.adapter))];
  if (adapters.length > 1) throw new Error(`the engines ran on different adapters: ${adapters.join("; ")}`);
  const [{ model }] = cpus();
  process.stdout.write(`one BERT-base layer: n ${tokens}, d ${width}, ${heads} heads, ffn ${ffnWidth}, f32, batch 1\n`);
  process.stdout.write(
    `${adapters[0]} on ${cpus().length} x ${model}; ${rounds} rounds of ${repeats}\n\n${table(summaries)}\n`,
  );
  if (json !== undefined) {
    const machine = {
      cpu: model,
      cores: cpus().length,
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
    };
    writeFileSync(json, `${JSON.stringify({ layer, machine, rounds, repeats, results: summaries }, null, 2)}\n`);
  }
}

await main(options());
