/**
 * @file The fusion part of one layer by itself, from the rows that all adapters read to the sum with the residual: folded as
 * models run it, and unfolded, adapter after adapter, as MATHS §2.4 and the library write it. Both are held against the
 * unfolded form in float64 on the tensors as they were given, so the folding itself is checked.
 */

import { allocateUnfolded, buildFoldedFusion, buildUnfoldedFusion, writeUnfolded } from "../adapters/fusion-build.ts";
import type { Fused, UnfoldedChoice, UnfoldedForm, UnfoldedWeights } from "../adapters/fusion-build.ts";
import type { FusionSite } from "../adapters/fusion-sites.ts";
import { need } from "../adapters/tensors.ts";
import type { AdapterTensors } from "../adapters/tensors.ts";
import { toleranceFor } from "../cases/case.ts";
import { compare } from "../cases/check.ts";
import type { Comparison } from "../cases/check.ts";
import { EngineError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { interpret } from "../graph/interpret.ts";
import type { Reference } from "../graph/interpret.ts";
import { optimize } from "../graph/passes/optimize.ts";
import type { HostTensor } from "../graph/plan.ts";
import type { Graph, Value } from "../graph/value.ts";
import { OFFSETS, ROWS, SEQUENCES } from "../hosts/symbols.ts";
import { adapter } from "../ops/adapter.ts";
import { knownTables } from "../model/known-tables.ts";
import { normal } from "../random.ts";
import { references } from "../reference/index.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import { graphTerms, totalOf } from "./cost-model.ts";
import type { Encoder } from "./encoder.ts";
import type { Candidate } from "./harness.ts";
import { PlannedRun } from "./planned-run.ts";

/** A fusion of an encoder, and the place whose part is taken. */
export interface FusionPart {
  readonly encoder: Encoder;
  readonly names: readonly string[];
  /** The fusion's own tensors. */
  readonly tensors: AdapterTensors;
  readonly tokens: number;
}

/** One form of the part, ready to be timed. */
export interface FusionCandidate extends Candidate {
  readonly flops: number;
  readonly planned: PlannedRun;
}

const PLACE = { layer: 0, place: "ffn" } as const;

function siteOf({ encoder, names }: FusionPart): FusionSite {
  const site = encoder.store.fusions.siteOf(names.join(","), PLACE);
  if (site === null || site.form !== "folded")
    throw new EngineError("VALIDATION", `the fusion of ${names.join()} is not folded`, { where: "fusion" });
  return site;
}

function weightsOf(tensors: AdapterTensors): UnfoldedWeights {
  const part = (name: string): Float32Array => need(tensors, `layers.${PLACE.layer}.${PLACE.place}.${name}`).data;
  return {
    query: { weight: part("query.weight"), bias: part("query.bias") },
    key: { weight: part("key.weight"), bias: part("key.bias") },
    value: { weight: part("value.weight") },
  };
}

/** Up-outputs of all adapters, one launch each. */
function children(b: GraphBuilder, { encoder, names }: FusionPart, x: Value): Value[] {
  const { store } = encoder;
  const segments = b.input("segments", [OFFSETS], "u32");
  return names.map((name) => {
    const { packed } = store.get(name).resident;
    const table = packed.structure.layers[PLACE.layer]?.bottlenecks[PLACE.place]?.table as string;
    const { bank, slots } = store.bank.values(b, table);
    const segment_slots = b.input(`slots.${name}`, [SEQUENCES], "u32");
    const inputs = { x, bank, slots, segments, segment_slots };
    return b.op(adapter, inputs, { width: encoder.sizes.width, maxWidth: store.bank.room(table) }).y as Value;
  });
}

function build(part: FusionPart, fuse: (b: GraphBuilder, x: Value, residual: Value) => Fused): Graph {
  const b = new GraphBuilder();
  const { width } = part.encoder.sizes;
  const { y, weights } = fuse(b, b.input("x", [ROWS, width]), b.input("residual", [ROWS, width]));
  return b.finish(
    new Map([
      ["y", y],
      ["weights", weights],
    ]),
  );
}

function unfolded(part: FusionPart, form: UnfoldedForm): Graph {
  const { choice } = siteOf(part);
  const own: UnfoldedChoice = { name: `bench.${form}.${part.names.length}`, shape: choice.shape, form };
  const { parameters } = part.encoder;
  if (!parameters.has(`${own.name}.query`)) {
    allocateUnfolded(parameters, own);
    writeUnfolded(parameters, own, weightsOf(part.tensors));
  }
  return build(part, (b, x, residual) =>
    buildUnfoldedFusion(b, { children: children(b, part, x), query: x, residual }, own),
  );
}

function folded(part: FusionPart): Graph {
  const { choice } = siteOf(part);
  return build(part, (b, x, residual) => buildFoldedFusion(b, { x, residual }, choice));
}

/** Forms of the part by name. `literal` is what the library computes; `pulled` is our own unfolded form. */
export type FusionForm = "folded" | UnfoldedForm;

/**
 * Plans one form. Its truth is the literal form in float64.
 * Scores reduce over down, up, query, key and their product, and values over the sum and Wv; the softmax passes an error of
 * its scores on at most once.
 */
export async function fusionCandidate(part: FusionPart, form: FusionForm): Promise<FusionCandidate> {
  const { encoder, names, tokens } = part;
  const { gpu, parameters, arena, store, sizes: encoderSizes } = encoder;
  const { width, bottleneck } = encoderSizes;
  const graph = form === "folded" ? folded(part) : unfolded(part, form);
  const sizes = { rows: tokens, sequences: 1, offsets: 2 };
  const slots = names.map((name) => [`slots.${name}`, Uint32Array.of(store.bank.slotOf(store.get(name).resident))]);
  const inputs: Record<string, Float32Array | Uint32Array> = {
    x: normal(1, tokens * width),
    residual: normal(2, tokens * width),
    segments: Uint32Array.of(0, tokens),
    ...Object.fromEntries(slots),
  };
  const planned = await PlannedRun.create(gpu, parameters, arena, { graph: optimize(graph), inputs, sizes });
  const tolerance = Math.hypot(...[width, bottleneck, width, width, width, names.length, width].map(toleranceFor));
  const verify = async (say: (doing: string) => void): Promise<Comparison> => {
    say("literal form in float64");
    const { outputs } = await planned.run();
    const truth = await float64(encoder, unfolded(part, "literal"), inputs, sizes);
    const found = [...truth].map(([name, { data }]) =>
      compare(name, (outputs[name] as HostTensor).data, data, tolerance),
    );
    return found.reduce((worst, one) => (one.error > worst.error ? one : worst));
  };
  const run = async (): Promise<number> => (await planned.run()).milliseconds;
  const tables = knownTables({ inputs, source: store });
  return { name: form, flops: totalOf(graphTerms(graph, sizes, tables)), planned, verify, run };
}

async function float64(
  encoder: Encoder,
  graph: Graph,
  inputs: Readonly<Record<string, Float32Array | Uint32Array>>,
  sizes: Readonly<Record<string, number>>,
): Promise<Map<string, ReferenceTensor>> {
  const weights = await encoder.truths(graph);
  const source = (name: string): ReferenceTensor => {
    const data = inputs[name] as Float32Array | Uint32Array;
    if (data instanceof Uint32Array) return { shape: [data.length], data };
    const { width } = encoder.sizes;
    return { shape: [data.length / width, width], data: Float64Array.from(data) };
  };
  return interpret(graph, {
    references: references as Readonly<Record<string, Reference>>,
    sources: (name, kind) => (kind === "parameter" ? (weights.get(name) as ReferenceTensor) : source(name)),
    sizes,
  });
}
