/** @file The layer in plain float64, loop by loop: what every engine's output is checked against. */

import { layer } from "./weights.mjs";

/**
 * Largest absolute error that an f32 engine may have. Outputs are normed (about ±4), and an f32 sum of 3072 terms
 * strays by about √3072 · 2⁻²⁴ = 3.3e-6 of their norm; two norms, the softmax and jax-js' 1.5e-7 erfc leave a factor
 * of 30. The tanh form of GELU instead of the erf form is off by several times this.
 */
export const TOLERANCE = 1e-4;

/** y [rows, out] = x [rows, inputs] · Wᵀ + bias, W [out, inputs]. */
function linear(x, rows, weight, bias) {
  const out = bias.length;
  const inputs = weight.length / out;
  const y = new Float64Array(rows * out);
  const w = Float64Array.from(weight);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < out; o++) {
      let sum = bias[o];
      for (let i = 0; i < inputs; i++) sum += x[r * inputs + i] * w[o * inputs + i];
      y[r * out + o] = sum;
    }
  }
  return y;
}

function norm(x, rows, gamma, beta) {
  const width = gamma.length;
  const y = new Float64Array(x.length);
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * width, (r + 1) * width);
    const mean = row.reduce((sum, value) => sum + value, 0) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const scale = 1 / Math.sqrt(variance + layer.eps);
    for (let i = 0; i < width; i++) y[r * width + i] = (row[i] - mean) * scale * gamma[i] + beta[i];
  }
  return y;
}

/** softmax(q kᵀ / √headWidth) v, head by head. */
function attention(q, k, v) {
  const { tokens, width, heads, headWidth } = layer;
  const y = new Float64Array(tokens * width);
  const scores = new Float64Array(tokens);
  for (let head = 0; head < heads; head++) {
    const at = head * headWidth;
    for (let i = 0; i < tokens; i++) {
      for (let j = 0; j < tokens; j++) {
        let sum = 0;
        for (let c = 0; c < headWidth; c++) sum += q[i * width + at + c] * k[j * width + at + c];
        scores[j] = sum / Math.sqrt(headWidth);
      }
      const top = scores.reduce((a, b) => Math.max(a, b));
      const exps = scores.map((score) => Math.exp(score - top));
      const total = exps.reduce((a, b) => a + b);
      for (let j = 0; j < tokens; j++) {
        for (let c = 0; c < headWidth; c++) y[i * width + at + c] += (exps[j] / total) * v[j * width + at + c];
      }
    }
  }
  return y;
}

/**
 * erf by its series 2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (1·3·5…(2n+1)), which has positive terms only and so loses no digits;
 * beyond 6 the result is ±1 in float64.
 */
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const gelu = (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));

const add = (a, b) => a.map((value, i) => value + b[i]);

/** The layer's output [tokens, width] in float64. */
export function referenceOutput(weights, input) {
  const rows = layer.tokens;
  const apply = (x, name) => linear(x, rows, weights[`${name}.weight`], weights[`${name}.bias`]);
  const normed = (x, name) => norm(x, rows, weights[`${name}.weight`], weights[`${name}.bias`]);
  const x = Float64Array.from(input);
  const mixed = attention(apply(x, "query"), apply(x, "key"), apply(x, "value"));
  const h = normed(add(apply(mixed, "proj"), x), "norm1");
  return normed(add(apply(apply(h, "up").map(gelu), "down"), h), "norm2");
}

/** Largest absolute difference; NaN, and an output of another length, count as infinite. */
export function maxError(output, expected) {
  if (output.length !== expected.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(output[i] - expected[i]);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error;
  }
  return worst;
}
