/** @file Float64 rows and the few operations on them that the oracle needs, as plain loops. */

/** Tokens × width; every row is its own array. */
export type Rows = readonly Float64Array[];

/** A tensor of a file: extents, outermost first, and its elements in float64. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The element, which must be there. */
export function at(values: ArrayLike<number>, index: number): number {
  const value = values[index];
  if (value === undefined) throw new Error(`oracle: element ${index} of ${values.length}`);
  return value;
}

/** What must be there. */
export function need<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`oracle: ${what} is missing`);
  return value;
}

/** `x Wᵀ + c` with W `[out, in]`; the bias may be absent. */
export function linear(x: Rows, weight: Tensor, bias?: Tensor): Rows {
  const [out = 0, width = 0] = weight.shape;
  return x.map((row) => {
    if (row.length !== width) throw new Error(`oracle: a row of ${row.length} meets a weight [${out}, ${width}]`);
    const result = new Float64Array(out);
    for (let o = 0; o < out; o++) {
      let sum = bias === undefined ? 0 : at(bias.data, o);
      for (let i = 0; i < width; i++) sum += at(row, i) * at(weight.data, o * width + i);
      result[o] = sum;
    }
    return result;
  });
}

/** The tensor `[a, b]` as `[b, a]`. */
export function transpose({ shape, data }: Tensor): Tensor {
  const [rows = 0, columns = 0] = shape;
  const turned = new Float64Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = at(data, r * columns + c);
  return { shape: [columns, rows], data: turned };
}

/** `A B` of two matrices. */
export function product(a: Tensor, b: Tensor): Tensor {
  const [rows = 0, inner = 0] = a.shape;
  const [, columns = 0] = b.shape;
  const data = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += at(a.data, r * inner + k) * at(b.data, k * columns + c);
      data[r * columns + c] = sum;
    }
  }
  return { shape: [rows, columns], data };
}

/** Rows `from ≤ r < to` of a tensor's outermost axis. */
export function part({ shape, data }: Tensor, from: number, to: number): Tensor {
  const width = data.length / at(shape, 0);
  return { shape: [to - from, ...shape.slice(1)], data: data.slice(from * width, to * width) };
}

/** Element by element: `f(x, y)`. */
export function zip(x: Rows, y: Rows, f: (a: number, b: number) => number): Rows {
  if (x.length !== y.length) throw new Error(`oracle: ${x.length} rows meet ${y.length}`);
  return x.map((row, r) => {
    const other = need(y[r], "a row");
    if (row.length !== other.length) throw new Error(`oracle: widths ${row.length} and ${other.length}`);
    return row.map((value, i) => f(value, at(other, i)));
  });
}

/** `x + y` */
export function add(x: Rows, y: Rows): Rows {
  return zip(x, y, (a, b) => a + b);
}

/** Every element times one number. */
export function scale(x: Rows, factor: number): Rows {
  return x.map((row) => row.map((value) => value * factor));
}

/** Every row times one vector, or one number that a vector of length 1 holds. */
export function scaleColumns(x: Rows, factors: Float64Array): Rows {
  return x.map((row) => row.map((value, i) => value * at(factors, factors.length === 1 ? 0 : i)));
}

/** LayerNorm over the last axis with biased variance. */
export function layerNorm(x: Rows, weight: Tensor, bias: Tensor, epsilon: number): Rows {
  return x.map((row) => {
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    return row.map((value, i) => (value - mean) * inverse * at(weight.data, i) + at(bias.data, i));
  });
}

/** Softmax of a few numbers. */
export function softmax(scores: readonly number[]): number[] {
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** `mean_rows σ(x wᵀ + c)`: one number per output of a gate `[outputs, width]`. */
export function gateOf(x: Rows, weight: Tensor, bias: Tensor): Float64Array {
  const scores = linear(x, weight, bias);
  return Float64Array.from({ length: at(weight.shape, 0) }, (_, output) => {
    let sum = 0;
    for (const row of scores) sum += sigmoid(at(row, output));
    return sum / scores.length;
  });
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** erf by its series of positive terms, `2/√π e^{-x²} Σ 2ⁿ x^{2n+1} / (2n+1)!!`: no cancellation anywhere. */
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  let term = size;
  let sum = size;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * size * size) / (2 * n + 1);
    sum += term;
  }
  return (Math.sign(x) * 2 * Math.exp(-size * size) * sum) / Math.sqrt(Math.PI);
}

const activations: Readonly<Record<string, (x: number) => number>> = {
  relu: (x) => Math.max(x, 0),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_new: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  swish: (x) => x * sigmoid(x),
  silu: (x) => x * sigmoid(x),
  quick_gelu: (x) => x * sigmoid(1.702 * x),
  tanh: Math.tanh,
  sigmoid,
  leakyrelu: (x) => (x < 0 ? 0.01 * x : x),
};

/** An activation by its name in configuration files (MATHS §0.3). */
export function activate(x: Rows, name: string): Rows {
  const f = need(activations[name.toLowerCase()], `the activation ${name}`);
  return x.map((row) => row.map((value) => f(value)));
}
