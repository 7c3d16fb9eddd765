/**
 * @file The T5 encoder in plain float64 loops, one sequence at a time, written from MATHS §1.2 and §3.3 alone: no op, no graph and no
 * reference of the engine is used, so that a mistake shared by those cannot hide.
 */

export type Row = number[];
export type Rows = Row[];

/** Numbers and tensors of a checkpoint under the published names. */
export interface PlainT5 {
  readonly layers: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly buckets: number;
  readonly maxDistance: number;
  readonly gated: boolean;
  readonly activation: (x: number) => number;
  readonly tensor: (name: string) => { readonly shape: readonly number[]; readonly data: ArrayLike<number> };
}

/** Linear maps by the names of the checkpoint. */
export type PlainMap = "q" | "k" | "v" | "o" | "wi" | "wi_0" | "wi_1" | "wo";

/** What adapters and a router do to a pass; all optional. */
export interface PlainHooks {
  readonly linear?: (layer: number, map: PlainMap, x: Rows, y: Rows) => Rows;
  /** Closes the feed-forward part: its output f, the stream h that entered. */
  readonly close?: (layer: number, f: Rows, h: Rows) => Rows;
  /** Added to every row of a layer, from its normed input. */
  readonly light?: (layer: number, normed: Rows) => Rows;
  readonly route?: PlainRoute;
}

/** A selection of rows in every layer. */
export interface PlainRoute {
  readonly toAll: boolean;
  readonly choose: (
    layer: number,
    normed: Rows,
  ) => { readonly selected: readonly number[]; readonly weights: readonly number[] };
  /** Where a selected row counts as being: at its original position, unless a test wants to see the difference. */
  readonly position?: (row: number, index: number) => number;
}

export const plus = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((v, i) => v + ((b[r] as Row)[i] as number)));

/** x·Wᵀ. */
export function product(x: Rows, shape: readonly number[], w: ArrayLike<number>): Rows {
  const [out, inputs] = shape as readonly [number, number];
  return x.map((row) =>
    Array.from({ length: out }, (_, o) => row.reduce((sum, v, i) => sum + v * (w[o * inputs + i] as number), 0)),
  );
}

function rms(x: Rows, gamma: ArrayLike<number>): Rows {
  return x.map((row) => {
    const mean = row.reduce((sum, v) => sum + v * v, 0) / row.length;
    return row.map((v, i) => ((gamma[i] as number) * v) / Math.sqrt(mean + 1e-6));
  });
}

/**
 * The bucket of a distance, without a logarithm: far from 0 it is the largest i with
 * |distance| / m >= (max / m) ** (i / (share − m)), compared in whole numbers.
 */
export function plainBucket(distance: number, count: number, max: number): number {
  const share = Math.floor(count / 2);
  const m = Math.floor(share / 2);
  const offset = distance > 0 ? share : 0;
  const far = Math.abs(distance);
  if (far < m) return offset + far;
  const steps = BigInt(share - m);
  let i = 0n;
  while (BigInt(far) ** steps * BigInt(m) ** (i + 1n) >= BigInt(max) ** (i + 1n) * BigInt(m) ** steps) i += 1n;
  return offset + Math.min(share - 1, m + Number(i));
}

class Layer {
  readonly #model: PlainT5;
  readonly #index: number;
  readonly #hooks: PlainHooks;

  constructor(model: PlainT5, index: number, hooks: PlainHooks) {
    this.#model = model;
    this.#index = index;
    this.#hooks = hooks;
  }

  norm(part: 0 | 1, x: Rows): Rows {
    return rms(x, this.#model.tensor(`encoder.block.${this.#index}.layer.${part}.layer_norm.weight`).data);
  }

  #map(map: PlainMap, x: Rows): Rows {
    const module = "qkvo".includes(map) ? "0.SelfAttention" : "1.DenseReluDense";
    const { shape, data } = this.#model.tensor(`encoder.block.${this.#index}.layer.${module}.${map}.weight`);
    const y = product(x, shape, data);
    return this.#hooks.linear?.(this.#index, map, x, y) ?? y;
  }

  attention(from: Rows, to: Rows, queriesAt: readonly number[], keysAt: readonly number[]): Rows {
    const { heads, headWidth, buckets, maxDistance, tensor } = this.#model;
    const bias = tensor("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight").data;
    const [q, k, v] = [this.#map("q", from), this.#map("k", to), this.#map("v", to)];
    const mixed = q.map((query, i) => {
      const out: Row = [];
      for (let h = 0; h < heads; h += 1) {
        const columns = Array.from({ length: headWidth }, (_, c) => h * headWidth + c);
        const scores = k.map((key, j) => {
          const distance = (keysAt[j] as number) - (queriesAt[i] as number);
          const added = bias[plainBucket(distance, buckets, maxDistance) * heads + h] as number;
          return columns.reduce((sum, c) => sum + (query[c] as number) * (key[c] as number), added);
        });
        const most = Math.max(...scores);
        const weights = scores.map((s) => Math.exp(s - most));
        const total = weights.reduce((sum, w) => sum + w, 0);
        for (const c of columns)
          out.push(weights.reduce((sum, w, j) => sum + (w / total) * ((v[j] as Row)[c] as number), 0));
      }
      return out;
    });
    return this.#map("o", mixed);
  }

  feedForward(x: Rows): Rows {
    const { gated, activation } = this.#model;
    const active = (rows: Rows): Rows => rows.map((row) => row.map(activation));
    if (!gated) return this.#map("wo", active(this.#map("wi", x)));
    const gate = active(this.#map("wi_0", x));
    const linear = this.#map("wi_1", x);
    return this.#map(
      "wo",
      gate.map((row, r) => row.map((g, i) => g * ((linear[r] as Row)[i] as number))),
    );
  }

  dense(x: Rows): Rows {
    const at = x.map((_, i) => i);
    const normed = this.norm(0, x);
    const h = plus(x, this.attention(normed, normed, at, at));
    const f = this.feedForward(this.norm(1, h));
    const y = this.#hooks.close?.(this.#index, f, h) ?? plus(h, f);
    const light = this.#hooks.light?.(this.#index, normed);
    return light === undefined ? y : plus(y, light);
  }

  /** Y = X + A(Xn) + m ⊙ PᵀΔ. */
  routed(x: Rows, route: PlainRoute): Rows {
    const normed = this.norm(0, x);
    const { selected, weights } = route.choose(this.#index, normed);
    const pick = (rows: Rows): Rows => selected.map((i) => rows[i] as Row);
    const at = selected.map((row, index) => route.position?.(row, index) ?? row);
    const keysAt = route.toAll ? x.map((_, i) => i) : at;
    const attended = this.attention(pick(normed), route.toAll ? normed : pick(normed), at, keysAt);
    const f = this.feedForward(this.norm(1, plus(pick(x), attended)));
    const delta = plus(attended, f);
    const light = this.#hooks.light?.(this.#index, normed);
    const y = (light === undefined ? x : plus(x, light)).map((row) => [...row]);
    selected.forEach((row, index) => {
      const target = y[row] as Row;
      (delta[index] as Row).forEach((v, i) => (target[i] = (target[i] as number) + (weights[row] as number) * v));
    });
    return y;
  }
}

/** The last hidden state of one sequence. */
export function encode(model: PlainT5, ids: readonly number[], hooks: PlainHooks = {}): Rows {
  const { shape, data } = model.tensor("shared.weight");
  const width = shape[1] as number;
  let x: Rows = ids.map((id) => Array.from({ length: width }, (_, i) => data[id * width + i] as number));
  for (let index = 0; index < model.layers; index += 1) {
    const layer = new Layer(model, index, hooks);
    x = hooks.route === undefined ? layer.dense(x) : layer.routed(x, hooks.route);
  }
  return rms(x, model.tensor("encoder.final_layer_norm.weight").data);
}
