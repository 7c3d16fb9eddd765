/** @file One host, its adapters and its routing put together as a graph. The only place where the three meet. */

import type { AdapterBank } from "../adapters/bank.ts";
import { SiteContext } from "../adapters/evaluate/context.ts";
import { evaluateEmbedded, evaluateInvertible, promptWords, repeat } from "../adapters/evaluate/embedding.ts";
import { leaveOut } from "../adapters/evaluate/dropout.ts";
import type { Dropouts } from "../adapters/evaluate/dropout.ts";
import type { Feed } from "../adapters/feeds.ts";
import type { Fusions } from "../adapters/fusions.ts";
import { copyPoint } from "../adapters/program-leaves.ts";
import type { CopyPoint } from "../adapters/program-leaves.ts";
import type { Program } from "../adapters/program.ts";
import { EngineError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { optimize } from "../graph/passes/optimize.ts";
import type { Graph, Value } from "../graph/value.ts";
import type { Host, LeaveOut, Stream } from "../hosts/host.ts";
import { reductions } from "../routing/coda.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import type { Route } from "../routing/route.ts";
import { buildAddedHead, isTokenHead } from "./added-heads.ts";
import { buildLayer } from "./build-layer.ts";
import type { LayerRoute } from "./build-layer.ts";
import type { HeadUse } from "./added-heads.ts";
import type { BuiltGraph } from "./lengths.ts";

/** What a plan computes: everything that changes the graph, and nothing else. */
export interface Signature {
  readonly source: "ids" | "audio" | "features";
  /** Shape of the active composition, and of the one on light paths where that is another. */
  readonly composition: string;
  readonly light: string | null;
  readonly compat: boolean;
  readonly routing: CodaPolicy | null;
  readonly outputs: readonly string[];
  readonly heads: readonly HeadUse[];
  readonly captures: readonly string[];
}

/** What a graph is built from besides its signature. */
export interface BuildParts {
  readonly host: Host;
  readonly bank: AdapterBank;
  readonly fusions: Fusions;
  readonly programs: { readonly dense: Program; readonly light: Program };
}

/** Prefix of captured values among the outputs of a graph. */
export const CAPTURE = "capture ";

/** Name of the run-time input that stands in for all below a layer: its input, [rows, d]. */
export const ENTRY = "entry";

/** How a draft differs from what a run computes. */
export interface DraftOptions {
  /**
   * The layer whose input is given, as {@link ENTRY}, so that nothing below it is computed: 0 for the embeddings, as many as there are layers
   * for what heads read. Absent: all is computed.
   */
  readonly from?: number | undefined;
  /** Chooses among the rows [rows, d] that a head with a row per token reads. Absent: all. */
  readonly headRows?: ((b: GraphBuilder, hidden: Value) => Value) | undefined;
  /** What a training step leaves out at random. null, or absent: nothing. */
  readonly dropout?: Dropouts | null;
}

/** A graph under construction. */
interface Draft extends BuildParts {
  readonly options: DraftOptions;
  readonly b: GraphBuilder;
  readonly signature: Signature;
  readonly context: SiteContext;
  readonly light: SiteContext;
  readonly copies: CopyPoint | null;
  readonly results: Map<string, Value>;
}

/** Routing of a layer, or null where it is dense. */
function routeOf({ signature, host }: Draft, layer: number): LayerRoute | null {
  const { routing } = signature;
  if (routing === null) return null;
  const reduction = reductions(routing, host.shape.layers)[layer] as number | null;
  return reduction === null ? null : { policy: routing, reduction };
}

/** Builds a layer, names its ends and keeps what its router says. */
function addLayer(draft: Draft, stream: Stream, index: number): Value {
  const { b, signature, results } = draft;
  b.name("input", stream.hidden);
  const { output, route } = buildLayer(draft, stream, index, routeOf(draft, index));
  if (route !== null) {
    b.name("routing.scores", route.scores);
    b.name("routing.weights", route.weights);
    keepRoute(results, `routing.${index}`, route, signature.outputs.includes("routing"));
    keepOffsets(draft, index, route);
  }
  return b.name("output", output);
}

/** Scores that are no numbers are always looked for; the choice is read back where it is asked for. */
function keepRoute(results: Map<string, Value>, name: string, route: Route, whole: boolean): void {
  for (const [at, choice] of [
    ["", route],
    [".keys", route.keys],
  ] as const) {
    if (choice === null) continue;
    if (choice.invalid !== null) results.set(`${name}${at}.invalid`, choice.invalid);
    if (!whole) continue;
    results.set(`${name}${at}.selected`, choice.rows);
    results.set(`${name}${at}.weights`, choice.weights);
    results.set(`${name}${at}.scores`, choice.scores);
  }
}

/** Offsets that only the GPU knows are read back where captured values are to be cut by them. */
function keepOffsets({ results, signature }: Draft, index: number, { segments }: Route): void {
  if (signature.captures.length > 0 && segments.node.kind === "op") results.set(`routing.${index}.segments`, segments);
}

/** Repeats the rows of a parallel composition where copies first differ. */
function copyAt(draft: Draft, stream: Stream, due: boolean): Stream {
  if (!due) return stream;
  const [hidden] = repeat(draft.context, [stream.hidden]) as [Value];
  return { hidden, segments: draft.context.segments };
}

function embed(draft: Draft): Stream {
  const { b, host, signature, context, copies } = draft;
  const early = copies?.at === "embedding";
  const words = promptWords(context);
  if (words !== undefined && early)
    throw new EngineError("UNSUPPORTED", "parallel(...) of prompts among word vectors", { where: "setActive" });
  const embedded = b.scope("", () => host.embed(b, signature.source, words));
  const started = copyAt(draft, embedded, early);
  const kept = context.leaveHidden(started.hidden, "embeddings");
  const hidden = b.name("embeddings", evaluateEmbedded(context, kept));
  return { hidden, segments: context.segments };
}

/** The rows that a head of tokens reads. */
function tokensOf({ b, options }: Draft, stream: Stream): Stream {
  return options.headRows === undefined ? stream : { ...stream, hidden: options.headRows(b, stream.hidden) };
}

function buildHeads(draft: Draft, stream: Stream): void {
  const { b, host, signature, context, results } = draft;
  if (host.head !== null && signature.outputs.includes("heads.default")) {
    const { head } = host;
    // A language model reads what the invertible adapter gives back (MATHS §2.8).
    const back = head.rows === "token" && head.labels === vocabularyOf(host);
    const hidden = back ? evaluateInvertible(context, stream.hidden, "back") : stream.hidden;
    const count = context.names.sequences;
    const whole = { hidden, segments: stream.segments };
    const read = head.rows === "token" ? tokensOf(draft, whole) : whole;
    const { dropout = null } = draft.options;
    const leave: LeaveOut = (x, place) => leaveOut(b, dropout, x, { rate: dropout?.head ?? 0, place: `head.${place}` });
    results.set(
      "heads.default",
      b.scope("head", () => head.build(b, read, count, leave)),
    );
  }
  signature.heads.forEach((use, index) => {
    const read = isTokenHead(use.config) ? tokensOf(draft, stream) : stream;
    const from = { sequences: context.names.sequences, dropout: draft.options.dropout ?? null };
    const logits = b.scope(`heads.${index}`, () => buildAddedHead(b, host, use, index, read, from));
    results.set(`heads #${index}`, logits);
  });
}

function vocabularyOf(host: Host): number {
  return host.shape.input.kind === "ids" ? host.shape.input.vocabulary : -1;
}

function capture({ b, signature, results }: Draft): void {
  for (const name of signature.captures) {
    const value = b.names.get(name);
    if (value === undefined) {
      const known = [...b.names.keys()].join(", ");
      throw new EngineError("UNKNOWN_NAME", `there is no value named ${name}; known: ${known}`, { where: name });
    }
    results.set(`${CAPTURE}${name}`, value);
  }
}

/** A model's values on a builder, before a graph is made of some of them. */
export interface DraftedModel {
  /** What a run gives, by name. */
  readonly results: ReadonlyMap<string, Value>;
  /** What fills the run-time inputs of the compositions, by name. */
  readonly feeds: { readonly dense: ReadonlyMap<string, Feed>; readonly light: ReadonlyMap<string, Feed> };
}

/** The stream that enters a layer from outside. */
function enter({ b, host, context, copies }: Draft): Stream {
  if (copies !== null)
    throw new EngineError("UNSUPPORTED", "parallel(...) cannot be entered half-way", { where: "setActive" });
  const hidden = b.input(ENTRY, [context.names.rows, host.shape.width]);
  return { hidden, segments: context.segments };
}

/**
 * Builds the values of a signature on a builder.
 * @throws EngineError UNSUPPORTED, UNKNOWN_NAME
 */
export function draftModel(
  b: GraphBuilder,
  parts: BuildParts,
  signature: Signature,
  draftOptions: DraftOptions = {},
): DraftedModel {
  const { host, bank, fusions, programs } = parts;
  const options = { compat: signature.compat, fusions, dropout: draftOptions.dropout ?? null };
  const feeds = { dense: new Map<string, Feed>(), light: new Map<string, Feed>() };
  const context = new SiteContext(b, bank, programs.dense, { ...options, feeds: feeds.dense });
  const own = signature.light === null;
  const light = own
    ? context
    : new SiteContext(b, bank, programs.light, { ...options, feeds: feeds.light, label: "light." });
  const routed = (layer: number): boolean =>
    signature.routing !== null && reductions(signature.routing, host.shape.layers)[layer] !== null;
  const copies = copyPoint(programs.dense, host.shape.layers, routed);
  const draft: Draft = { ...parts, b, signature, context, light, copies, results: new Map(), options: draftOptions };
  const { from } = draftOptions;
  let stream = from === undefined ? embed(draft) : enter(draft);
  for (let index = from ?? 0; index < host.shape.layers; index += 1) {
    const hidden = b.scope(`layers.${index}`, () => {
      stream = copyAt(draft, stream, copies?.at === "input" && copies.layer === index);
      return addLayer(draft, stream, index);
    });
    stream = { hidden, segments: context.segments };
  }
  stream = copyAt(draft, stream, copies?.at === "end");
  const finished = b.scope("final", () => host.finish(b, stream.hidden));
  const hidden = b.name("hidden", finished);
  if (signature.outputs.includes("hidden")) draft.results.set("hidden", hidden);
  buildHeads(draft, { hidden, segments: stream.segments });
  capture(draft);
  return { results: draft.results, feeds };
}

/** @returns a graph with those of a model's run-time inputs that it reads. */
export function withFeeds(graph: Graph, { feeds }: DraftedModel): BuiltGraph {
  const read = new Map<string, { feed: Feed; light: boolean }>();
  for (const { kind, label } of graph.nodes) {
    const feed = feeds.dense.get(label) ?? feeds.light.get(label);
    if (kind === "input" && feed !== undefined) read.set(label, { feed, light: !feeds.dense.has(label) });
  }
  return { graph, feeds: read };
}

/** Builds the graph of a signature, optimised unless other passes are given, with the run-time inputs of its compositions. */
export function buildModel(
  parts: BuildParts,
  signature: Signature,
  passes: (graph: Graph) => Graph = optimize,
): BuiltGraph {
  const b = new GraphBuilder();
  const drafted = draftModel(b, parts, signature);
  return withFeeds(passes(b.finish(drafted.results)), drafted);
}
