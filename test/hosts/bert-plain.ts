/** @file The forward pass of BERT and its kin in plain float64, by its equations and the published tensor names. */

/** Tensor names of a family; everything below follows from them. */
export interface Names {
  readonly prefix: string;
  readonly layer: string;
  readonly maps: Readonly<Record<"query" | "key" | "value" | "proj" | "up" | "down" | "norm1" | "norm2", string>>;
  readonly types: number;
  readonly heads: number;
  readonly layers: number;
  /** Position row of the first token. */
  readonly start: number;
  readonly eps: number;
}

/** A checkpoint by tensor name. */
export type Tensors = Record<string, { shape: readonly number[]; data: Float32Array }>;

/** One list of numbers per token. */
export type Rows = number[][];

/** erf by its Maclaurin series: alternating terms of at most e^(x²), exact to 1e-11 up to |x| = 3; beyond 6 it is ±1. */
function erf(x: number): number {
  if (Math.abs(x) > 3) return Math.sign(x) * (1 - erfcTail(Math.abs(x)));
  let [term, sum] = [x, x];
  for (let n = 1; n < 80; n += 1) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** erfc(x) for x > 3 by its continued fraction, from the inside out. */
function erfcTail(x: number): number {
  let fraction = x;
  for (let n = 60; n > 0; n -= 1) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

const gelu = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));

/** The forward pass by its equations (MATHS §3.3). */
export class Plain {
  readonly #tensors: Tensors;
  readonly #names: Names;
  /** What stands before the tensors of the base. */
  readonly #prefix: string;

  constructor(tensors: Tensors, names: Names, prefix: string = names.prefix) {
    this.#tensors = tensors;
    this.#names = names;
    this.#prefix = prefix;
  }

  row(name: string, index: number): number[] {
    const { data, shape } = this.#tensors[name] as Tensors[string];
    const width = shape.at(-1) as number;
    return [...data.subarray(index * width, (index + 1) * width)];
  }

  linear(x: Rows, name: string): Rows {
    const { data, shape } = this.#tensors[`${name}.weight`] as Tensors[string];
    const bias = (this.#tensors[`${name}.bias`] as Tensors[string]).data;
    const [out = 0, inputs = 0] = shape;
    return x.map((row) =>
      Array.from({ length: out }, (_, o) =>
        row.reduce((sum, value, i) => sum + value * (data[o * inputs + i] as number), bias[o] as number),
      ),
    );
  }

  norm(x: Rows, name: string): Rows {
    const [scale, shift] = [this.row(`${name}.weight`, 0), this.row(`${name}.bias`, 0)];
    return x.map((row) => {
      const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
      return row.map(
        (value, c) =>
          ((value - mean) / Math.sqrt(variance + this.#names.eps)) * (scale[c] as number) + (shift[c] as number),
      );
    });
  }

  /** Softmax attention of all tokens to all tokens, head by head. */
  attention(q: Rows, k: Rows, v: Rows): Rows {
    const { heads } = this.#names;
    return q.map((query) => {
      const width = query.length / heads;
      const mixed: number[] = [];
      for (let head = 0; head < heads; head += 1) {
        const columns = Array.from({ length: width }, (_, c) => head * width + c);
        const scores = k.map(
          (key) => columns.reduce((sum, c) => sum + (query[c] as number) * (key[c] as number), 0) / Math.sqrt(width),
        );
        const most = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - most));
        const mass = weights.reduce((sum, weight) => sum + weight, 0);
        for (const c of columns)
          mixed.push(v.reduce((sum, value, j) => sum + ((weights[j] as number) / mass) * (value[c] as number), 0));
      }
      return mixed;
    });
  }

  hidden(ids: readonly number[], types: readonly number[]): Rows {
    const names = this.#names;
    const at = `${this.#prefix}embeddings`;
    const embedded = ids.map((id, token) => {
      const terms = [
        this.row(`${at}.word_embeddings.weight`, id),
        this.row(`${at}.position_embeddings.weight`, token + names.start),
        ...(names.types > 0 ? [this.row(`${at}.token_type_embeddings.weight`, types[token] as number)] : []),
      ];
      return total(terms);
    });
    let x = this.norm(embedded, `${at}.LayerNorm`);
    for (let layer = 0; layer < names.layers; layer += 1) {
      const name = (map: keyof Names["maps"]): string => `${this.#prefix}${names.layer}.${layer}.${names.maps[map]}`;
      const mixed = this.attention(
        this.linear(x, name("query")),
        this.linear(x, name("key")),
        this.linear(x, name("value")),
      );
      const h = this.norm(added(this.linear(mixed, name("proj")), x), name("norm1"));
      const active = this.linear(h, name("up")).map((row) => row.map(gelu));
      x = this.norm(added(this.linear(active, name("down")), h), name("norm2"));
    }
    return x;
  }

  /** E·LN(gelu(dense(h))) + bias with E the word embeddings. */
  language(h: Rows, dense: string, norm: string, bias: string, words: string): Rows {
    const x = this.norm(
      this.linear(h, dense).map((row) => row.map(gelu)),
      norm,
    );
    const offsets = (this.#tensors[bias] as Tensors[string]).data;
    return x.map((row) =>
      Array.from(offsets, (_, id) =>
        this.row(words, id).reduce((all, value, c) => all + value * (row[c] as number), offsets[id] as number),
      ),
    );
  }
}

function total(terms: readonly number[][]): number[] {
  return (terms[0] as number[]).map((_, c) => terms.reduce((all, term) => all + (term[c] as number), 0));
}

function added(a: Rows, b: Rows): Rows {
  return a.map((row, i) => total([row, b[i] as number[]]));
}
