/**
 * @file One CoDA layer in plain float64 loops, written from MATHS §1.2 and §1.3 alone: no op, no graph and no reference of
 * the engine is used, so that a mistake shared by those cannot hide.
 */

/** The two sub-layers of a layer. */
export type PlainPlace = "attention" | "ffn";

/** Weights of a layer as row-major matrices [out, in] and vectors. */
export interface PlainLayer {
  readonly width: number;
  readonly heads: number;
  readonly ffn: number;
  readonly pre: boolean;
  readonly causal: boolean;
  readonly eps: number;
  readonly activation: (x: number) => number;
  readonly weight: (name: string) => ArrayLike<number>;
  /** Rows in front of the keys, which every query sees, from the input of the keys. */
  readonly prefix?: (input: Rows) => { readonly keys: Rows; readonly values: Rows };
  /** What an adapter makes of a sub-layer's output f, before it is added to the stream h. */
  readonly after?: (place: PlainPlace, f: Rows, h: Rows) => Rows;
  /** What an adapter makes of the result y of a linear map of the input x; of the packed map, all three parts. */
  readonly linear?: (map: "qkv" | "proj" | "up" | "down", x: Rows, y: Rows) => Rows;
}

type Row = number[];
/** A matrix, row by row. */
export type Rows = Row[];

/** What a router says of the rows of one sequence. */
export interface PlainChoice {
  readonly scores: number[];
  readonly weights: number[];
  /** Ascending. */
  readonly selected: number[];
  /** The rows of which keys and values are made, where a vector of their own chooses them. */
  readonly keys?: PlainChoice & { readonly weigh: boolean };
}

/** How a layer is routed. */
export interface PlainRouting {
  readonly part?: "layer" | PlainPlace;
  /** k-to-all. */
  readonly all: boolean;
  readonly choose: (rows: Rows) => PlainChoice;
  /** A of all rows, from the layer's input. */
  readonly light: (xn: Rows) => Rows;
  /** What stands around the heavy path: added to Δ, from the selected rows of the layer's input. */
  readonly around?: (xn: Rows) => Rows;
}

function norm(x: Rows, gamma: ArrayLike<number>, beta: ArrayLike<number>, eps: number): Rows {
  return x.map((row) => {
    const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    return row.map((v, i) => (gamma[i] as number) * ((v - mean) / Math.sqrt(variance + eps)) + (beta[i] as number));
  });
}

/** a + b, row by row. */
export const add = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((v, i) => v + ((b[r] as Row)[i] as number)));
const subtract = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((v, i) => v - ((b[r] as Row)[i] as number)));
const pick = (rows: Rows, at: readonly number[]): Rows => at.map((i) => rows[i] as Row);

function attention(layer: PlainLayer, q: Rows, k: Rows, v: Rows, qAt: number[], kAt: number[]): Rows {
  const hd = layer.width / layer.heads;
  return q.map((query, i) => {
    const out: Row = [];
    for (let h = 0; h < layer.heads; h += 1) {
      const scores = k.map((key, j) => {
        if (layer.causal && (kAt[j] as number) > (qAt[i] as number)) return -Infinity;
        let dot = 0;
        for (let c = h * hd; c < (h + 1) * hd; c += 1) dot += (query[c] as number) * (key[c] as number);
        return dot / Math.sqrt(hd);
      });
      const most = Math.max(...scores);
      // A query that sees no key gets nothing.
      const weights = scores.map((s) => (most === -Infinity ? 0 : Math.exp(s - most)));
      const total = weights.reduce((sum, w) => sum + w, 0) || 1;
      for (let c = h * hd; c < (h + 1) * hd; c += 1)
        out.push(weights.reduce((sum, w, j) => sum + (w / total) * ((v[j] as Row)[c] as number), 0));
    }
    return out;
  });
}

/** The frozen half layers of a host, with what adapters do there. */
class Frozen {
  readonly #layer: PlainLayer;

  constructor(layer: PlainLayer) {
    this.#layer = layer;
  }

  norm(name: string, x: Rows): Rows {
    const { weight, eps } = this.#layer;
    return norm(x, weight(`${name}.weight`), weight(`${name}.bias`), eps);
  }

  /** What a sub-layer reads of its stream. */
  read(place: PlainPlace, x: Rows): Rows {
    return this.#layer.pre ? this.norm(place === "attention" ? "norm1" : "norm2", x) : x;
  }

  #map(map: "qkv" | "proj" | "up" | "down", x: Rows): Rows {
    const w = this.#layer.weight(`${map}.weight`);
    const bias = this.#layer.weight(`${map}.bias`);
    const { width, ffn } = this.#layer;
    const count = map === "qkv" ? 3 * width : map === "up" ? ffn : width;
    const y = x.map((row) =>
      Array.from({ length: count }, (_, c) =>
        row.reduce((sum, value, i) => sum + value * (w[c * row.length + i] as number), bias[c] ?? 0),
      ),
    );
    return this.#layer.linear?.(map, x, y) ?? y;
  }

  /** The stream after a sub-layer with output f. */
  close(place: PlainPlace, f: Rows, h: Rows): Rows {
    const { pre, after } = this.#layer;
    const sum = add(after?.(place, f, h) ?? f, h);
    return pre ? sum : this.norm(place === "attention" ? "norm1" : "norm2", sum);
  }

  /** h of the rows at `queries`, with keys and values of these rows. */
  attended(x: Rows, queries: number[], keys: { readonly rows: Rows; readonly at: number[] }): Rows {
    const d = this.#layer.width;
    const q = this.#map("qkv", pick(this.read("attention", x), queries)).map((row) => row.slice(0, d));
    const kv = this.#map("qkv", keys.rows);
    const front = this.#layer.prefix?.(keys.rows) ?? { keys: [], values: [] };
    const mixed = attention(
      this.#layer,
      q,
      [...front.keys, ...kv.map((row) => row.slice(d, 2 * d))],
      [...front.values, ...kv.map((row) => row.slice(2 * d))],
      queries,
      [...front.keys.map(() => -1), ...keys.at],
    );
    return this.close("attention", this.#map("proj", mixed), pick(x, queries));
  }

  fed(h: Rows): Rows {
    const up = this.#map("up", this.read("ffn", h)).map((row) => row.map(this.#layer.activation));
    return this.close("ffn", this.#map("down", up), h);
  }
}

/** The rows of which keys and values are made. */
function keyRows(xn: Rows, choice: PlainChoice, all: boolean): { rows: Rows; at: number[] } {
  const { keys } = choice;
  if (keys === undefined) {
    const at = all ? xn.map((_, i) => i) : choice.selected;
    return { rows: pick(xn, at), at };
  }
  const scaled = (at: number): Row => (xn[at] as Row).map((v) => v * (keys.weigh ? (keys.weights[at] as number) : 1));
  return { rows: keys.selected.map(scaled), at: keys.selected };
}

/** base + m ⊙ PᵀΔ. */
function scatter(base: Rows, { selected, weights }: PlainChoice, delta: Rows): Rows {
  const y = base.map((row) => [...row]);
  selected.forEach((row, index) => {
    const target = y[row] as Row;
    (delta[index] as Row).forEach((v, i) => (target[i] = (target[i] as number) + (weights[row] as number) * v));
  });
  return y;
}

/** One routed layer over one sequence: Y = X + A(Xn) + m ⊙ PᵀΔ, or one of its halves routed and the other dense. */
export function routedLayer(
  layer: PlainLayer,
  x: Rows,
  { part = "layer", all, choose, light, around }: PlainRouting,
): { y: Rows; choice: PlainChoice } {
  const frozen = new Frozen(layer);
  const xn = frozen.read("attention", x);
  const every = x.map((_, i) => i);
  const surround = (delta: Rows, at: number[]): Rows =>
    around === undefined ? delta : add(delta, around(pick(xn, at)));
  if (part === "ffn") {
    const h = frozen.attended(x, every, { rows: xn, at: every });
    const choice = choose(frozen.read("ffn", h));
    const rows = pick(h, choice.selected);
    const delta = surround(subtract(frozen.fed(rows), rows), choice.selected);
    return { y: scatter(add(h, light(xn)), choice, delta), choice };
  }
  const choice = choose(xn);
  const rows = pick(x, choice.selected);
  const h = frozen.attended(x, choice.selected, keyRows(xn, choice, all));
  if (part === "attention") {
    const stream = scatter(x, choice, surround(subtract(h, rows), choice.selected));
    return { y: add(frozen.fed(stream), light(xn)), choice };
  }
  const delta = surround(subtract(frozen.fed(h), rows), choice.selected);
  return { y: scatter(add(x, light(xn)), choice, delta), choice };
}

/** Soft top-k by T coordinate updates of a and b, kept as vectors as the definition has them. */
export function softTopK(
  scores: number[],
  k: number,
  o: { epsilon: number; iterations: number; start: number; decay: number },
): number[] {
  if (k >= scores.length) return scores.map(() => 1);
  let eps = Math.max(o.start, o.epsilon);
  let a = 0;
  let b = scores.map(() => 0);
  for (let t = 0; t < o.iterations; t += 1) {
    const z = scores.map((s, i) => (s + (b[i] as number)) / eps);
    const most = Math.max(...z);
    a = eps * (Math.log(k) - most - Math.log(z.reduce((sum, v) => sum + Math.exp(v - most), 0)));
    b = scores.map((s) => Math.min(-s - a, 0));
    if (t + 1 < o.iterations) eps = Math.max(eps * o.decay, o.epsilon);
  }
  return scores.map((s, i) => Math.exp((s + a + (b[i] as number)) / o.epsilon));
}

/** The optimum: λ = min(1, exp((s + a) / ε)) with the a for which they sum to k, found by halving. */
export function exactTopK(scores: number[], k: number, epsilon: number): number[] {
  if (k >= scores.length) return scores.map(() => 1);
  const at = (a: number): number[] => scores.map((s) => Math.min(1, Math.exp((s + a) / epsilon)));
  let low = epsilon * Math.log(k / scores.length) - Math.max(...scores);
  let high = -Math.min(...scores);
  for (let step = 0; step < 200; step += 1) {
    const middle = (low + high) / 2;
    if (at(middle).reduce((sum, v) => sum + v, 0) < k) low = middle;
    else high = middle;
  }
  return at((low + high) / 2);
}

/** The k rows with the largest scores, ties to the lower index, ascending. */
export function topK(scores: number[], k: number): number[] {
  const order = scores.map((_, i) => i).sort((i, j) => (scores[j] as number) - (scores[i] as number) || i - j);
  return order.slice(0, k).sort((i, j) => i - j);
}

/** One layer with the learned router. */
export function codaLayer(
  layer: PlainLayer,
  x: Rows,
  light: (xn: Rows) => Rows,
  router: ArrayLike<number>,
  options: { reduction: number; all: boolean; epsilon: number; iterations: number; start: number; decay: number },
): { y: Rows; selected: number[]; weights: number[]; scores: number[] } {
  const choose = (rows: Rows): PlainChoice => {
    const scores = rows.map((row) => row.reduce((sum, v, i) => sum + v * (router[i] as number), 0));
    const k = Math.ceil(rows.length / options.reduction);
    return { scores, weights: softTopK(scores, k, options), selected: topK(scores, k) };
  };
  const { y, choice } = routedLayer(layer, x, { all: options.all, choose, light });
  return { y, selected: choice.selected, weights: choice.weights, scores: choice.scores };
}
