/**
 * @file One CoDA layer in plain float64 loops, written from MATHS §1.2 and §1.3 alone: no op, no graph and no reference of
 * the engine is used, so that a mistake shared by those cannot hide.
 */

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
}

type Row = number[];
type Rows = Row[];

function linear(x: Rows, w: ArrayLike<number>, bias: ArrayLike<number>, first: number, count: number): Rows {
  return x.map((row) =>
    Array.from({ length: count }, (_, c) =>
      row.reduce((sum, value, i) => sum + value * (w[(first + c) * row.length + i] as number), bias[first + c] ?? 0),
    ),
  );
}

function norm(x: Rows, gamma: ArrayLike<number>, beta: ArrayLike<number>, eps: number): Rows {
  return x.map((row) => {
    const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    return row.map((v, i) => (gamma[i] as number) * ((v - mean) / Math.sqrt(variance + eps)) + (beta[i] as number));
  });
}

const add = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((v, i) => v + ((b[r] as Row)[i] as number)));

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
      const weights = scores.map((s) => Math.exp(s - most));
      const total = weights.reduce((sum, w) => sum + w, 0);
      for (let c = h * hd; c < (h + 1) * hd; c += 1)
        out.push(weights.reduce((sum, w, j) => sum + (w / total) * ((v[j] as Row)[c] as number), 0));
    }
    return out;
  });
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

/** The k rows with the largest scores, ties to the lower index, ascending. */
export function topK(scores: number[], k: number): number[] {
  const order = scores.map((_, i) => i).sort((i, j) => (scores[j] as number) - (scores[i] as number) || i - j);
  return order.slice(0, k).sort((i, j) => i - j);
}

/** One routed layer over one sequence: Y = X + A(Xn) + m ⊙ PᵀΔ. */
export function codaLayer(
  layer: PlainLayer,
  x: Rows,
  light: (xn: Rows) => Rows,
  router: ArrayLike<number>,
  options: { reduction: number; all: boolean; epsilon: number; iterations: number; start: number; decay: number },
): { y: Rows; selected: number[]; weights: number[]; scores: number[] } {
  const { width: d, ffn, eps, weight } = layer;
  const w = (name: string): ArrayLike<number> => weight(`${name}.weight`);
  const c = (name: string): ArrayLike<number> => weight(`${name}.bias`);
  const xn = layer.pre ? norm(x, w("norm1"), c("norm1"), eps) : x;
  const scores = xn.map((row) => row.reduce((sum, v, i) => sum + v * (router[i] as number), 0));
  const k = Math.ceil(x.length / options.reduction);
  const weights = softTopK(scores, k, options);
  const selected = topK(scores, k);
  const pick = (rows: Rows): Rows => selected.map((i) => rows[i] as Row);
  const keysFrom = options.all ? xn : pick(xn);
  const keysAt = options.all ? x.map((_, i) => i) : selected;
  const q = linear(pick(xn), w("qkv"), c("qkv"), 0, d);
  const mixed = attention(
    layer,
    q,
    linear(keysFrom, w("qkv"), c("qkv"), d, d),
    linear(keysFrom, w("qkv"), c("qkv"), 2 * d, d),
    selected,
    keysAt,
  );
  const attended = linear(mixed, w("proj"), c("proj"), 0, d);
  const feed = (h: Rows): Rows => {
    const up = linear(h, w("up"), c("up"), 0, ffn).map((row) => row.map(layer.activation));
    return linear(up, w("down"), c("down"), 0, d);
  };
  let delta: Rows;
  if (layer.pre) delta = add(attended, feed(norm(add(pick(x), attended), w("norm2"), c("norm2"), eps)));
  else {
    const h = norm(add(pick(x), attended), w("norm1"), c("norm1"), eps);
    const out = norm(add(h, feed(h)), w("norm2"), c("norm2"), eps);
    delta = add(
      out,
      pick(x).map((row) => row.map((v) => -v)),
    );
  }
  const y = add(x, light(xn));
  selected.forEach((row, index) => {
    (delta[index] as Row).forEach((v, i) => {
      (y[row] as Row)[i] = ((y[row] as Row)[i] as number) + (weights[row] as number) * v;
    });
  });
  return { y, selected, weights, scores };
}
