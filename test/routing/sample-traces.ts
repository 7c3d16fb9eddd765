/** @file Traces of text, sound and pictures as runs write them, drawn from a seed: for the report's tests. */

import { normal } from "../../src/random.ts";
import { audioTrace, imageTrace } from "../../src/routing/trace-media.ts";
import { makeTrace } from "../../src/routing/trace.ts";
import type { CurvePoint, RoutingTrace, SequenceFacts } from "../../src/routing/trace.ts";

interface Sketch {
  readonly model: string;
  readonly tokens: readonly (readonly string[])[];
  readonly facts?: readonly SequenceFacts[];
  /** Per layer r, or null where it is dense. */
  readonly reductions: readonly (number | null)[];
  /** A leaning of the scores towards a token. */
  readonly liking: (token: string, place: number, layer: number) => number;
  readonly curve?: readonly CurvePoint[];
}

/** Selects the k largest scores of every sequence; λ falls off around the k-th. */
export function sketchTrace(sketch: Sketch): RoutingTrace {
  const rows = sketch.tokens.reduce((sum, tokens) => sum + tokens.length, 0);
  const routing = sketch.reductions.map((reduction, layer) => {
    if (reduction === null) return null;
    const noise = normal(layer + 1, rows);
    const all = sketch.tokens.flat();
    const places = sketch.tokens.flatMap((tokens) => tokens.map((_, place) => place));
    const scores = Float32Array.from(
      noise,
      (value, row) => value + sketch.liking(all[row] ?? "", places[row] ?? 0, layer),
    );
    const selected: number[] = [];
    const weights = new Float32Array(rows);
    let start = 0;
    for (const { length } of sketch.tokens) {
      const order = Array.from({ length }, (_, i) => start + i).sort(
        (a, b) => (scores[b] as number) - (scores[a] as number) || a - b,
      );
      const k = Math.ceil(length / reduction);
      const chosen = order.slice(0, k).sort((a, b) => a - b);
      const limit = scores[order[k - 1] ?? start] ?? 0;
      for (const row of order) weights[row] = 1 / (1 + Math.exp(-1 - 2 * ((scores[row] as number) - limit)));
      selected.push(...chosen);
      start += length;
    }
    return { selected: Uint32Array.from(selected), weights, scores };
  });
  const { model, tokens, facts = [], curve } = sketch;
  const settings = {
    router: "learned",
    reduction: [...sketch.reductions],
    attention: "k-to-all",
    softTopK: "paper",
    seed: 0,
  };
  const trace = makeTrace({ model, device: "SwiftShader Device (Subzero)", settings, tokens, facts, routing });
  return curve === undefined ? trace : { ...trace, curve };
}

/** A reaction as an atom-wise SMILES tokenizer cuts it. */
const REACTION =
  "[CLS] C C ( = O ) c 1 c c c ( [N+] ( = O ) [O-] ) c c 1 . [Na+] . [OH-] . C C O >> C C ( O ) c 1 c c c ( [NH2] ) c c 1 [SEP]";

/** Reductions of a sweep, and what each router loses with them. */
const sweep: readonly CurvePoint[] = ["learned", "random", "norm", "first-k"].flatMap((router, which) =>
  ["k-to-k", "k-to-all"].flatMap((attention, form) =>
    [1, 2, 3, 5, 8].map((reduction) => ({
      reduction,
      router,
      attention,
      metric: "accuracy",
      value: 0.973 - (0.012 + 0.014 * which) * (reduction - 1) * (form === 0 ? 1.25 : 1),
      milliseconds: 18 + 96 / reduction + (form === 0 ? 0 : 9 * (1 - 1 / reduction)) + 2 * which,
      speedUp: 114 / (18 + 96 / reduction),
    })),
  ),
);

/** Twelve layers over reactions and a sentence, three of them with other reductions, and a sweep. */
export function textTrace(sequences = 4): RoutingTrace {
  const words = "[CLS] the cat sat on the mat , and nobody ##s knew why it cost $ 42 . [SEP]".split(" ");
  const tokens = Array.from({ length: sequences }, (_, i) =>
    i % 4 === 1 ? words : REACTION.split(" ").slice(0, 47 - (i % 3)),
  );
  return sketchTrace({
    model: "models/rxnmapper-albert",
    tokens,
    facts: tokens.map((own, i) => ({
      text: own.slice(1, -1).join(i % 4 === 1 ? " " : ""),
      label: "acetyl",
      predicted: i % 3 === 2 ? "nitro" : "acetyl",
    })),
    reductions: [null, 3, 3, 3, 3, 2, 3, 3, 5, 3, 3, 3],
    liking: (token, place, layer) =>
      (token.startsWith("[") ? 1.4 : /[()=.]/.test(token) ? -1 : 0) + 0.5 * Math.sin(place * 0.9 + layer * 0.25),
    curve: sweep,
  });
}

/** A second of sound: three syllables over 98 frames behind a class token. */
export function audioSample(): RoutingTrace {
  const rate = 16000;
  const loudness = (second: number): number =>
    [0.22, 0.47, 0.7].reduce((sum, at, i) => sum + (0.8 - 0.2 * i) * Math.exp(-(((second - at) / 0.06) ** 2)), 0.01);
  const noise = normal(7, rate);
  const samples = Float32Array.from(noise, (value, i) => 0.3 * value * loudness(i / rate));
  const tokens = ["[class]", ...Array.from({ length: 98 }, (_, frame) => `frame ${frame}`)];
  const facts = {
    text: "clips.tsv:2",
    label: "yes",
    predicted: "yes",
    audio: audioTrace(samples, { sampleRate: rate, frames: 98 }),
  };
  return sketchTrace({
    model: "models/kwt-1",
    tokens: [tokens, tokens],
    facts: [facts, { ...facts, predicted: "left" }],
    reductions: [2, 3, 3, 4, null, 3],
    liking: (_, place) => (place === 0 ? 4 : 3 * loudness((place - 0.5) / 98)),
  });
}

/** Pictures of 28 × 28 in 16 patches without a class token, and in colour with one. */
export function imageSample(): RoutingTrace {
  const side = 28;
  const ring = (radius: number) => (x: number, y: number) =>
    Math.max(0, 1 - Math.abs(Math.hypot(x - 13.5, (y - 13.5) * 0.8) - radius) / 2.2);
  const bytes = (shade: (x: number, y: number) => number): Uint8Array =>
    Uint8Array.from({ length: side * side }, (_, i) => Math.round(255 * shade(i % side, Math.floor(i / side))));
  const patches = Array.from({ length: 16 }, (_, patch) => `patch ${patch}`);
  const grey = (radius: number) => imageTrace({ data: bytes(ring(radius)), shape: [1, side, side] }, 7);
  const planes = [bytes((x) => x / 27), bytes((_, y) => y / 27), bytes(ring(8))];
  const colour = imageTrace(
    { data: Uint8Array.from(planes.flatMap((plane) => [...plane])), shape: [3, side, side] },
    7,
  );
  return sketchTrace({
    model: "models/mnist-vit-tiny",
    tokens: [patches, patches, ["[class]", ...patches]],
    facts: [
      { label: "0", predicted: "0", image: grey(8) },
      { label: "6", predicted: "0", image: grey(5) },
      { label: "8", predicted: "8", image: colour },
    ],
    reductions: [2, 3, 3, 5],
    liking: (token, place) => (token === "[class]" ? 3 : [5, 6, 9, 10].includes(place % 16) ? 0.8 : -0.2),
  });
}
