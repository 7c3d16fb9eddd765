/**
 * @file The layer that everybody runs: one BERT-base encoder layer (Devlin et al. 2019) with made-up weights.
 *
 *   h = LN1(x + softmax(q kᵀ / √64) v · Woᵀ + bo),   y = LN2(h + gelu(h · W1ᵀ + b1) · W2ᵀ + b2),   erf GELU, post-LN.
 *
 * All numbers come from one generator, so that every process makes the same ones: xorshift32 (Marsaglia 2003, shifts
 * 13, 17, 5) seeded with FNV-1a of the tensor's name, its 32 bits taken to the uniform interval [-1, 1) and scaled by
 * √3 times the wanted deviation.
 */

/** Sizes of BERT-base at one sequence of 128 tokens. */
export const layer = { tokens: 128, width: 768, heads: 12, headWidth: 64, ffnWidth: 3072, eps: 1e-12 };

/**
 * Deviation of the matrices: larger than BERT's 0.02, so that attention scores spread over several units and a wrong
 * attention shows in the output.
 */
const MATRIX_DEVIATION = 0.05;
const VECTOR_DEVIATION = 0.1;

function seedOf(name) {
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return hash >>> 0 || 1;
}

/** `count` uniform f32 values of a standard deviation around a mean. */
function values(name, count, deviation, mean = 0) {
  const out = new Float32Array(count);
  const scale = (deviation * Math.sqrt(3)) / 2 ** 31;
  let state = seedOf(name);
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = mean + scale * (state | 0);
  }
  return out;
}

/** Linear maps as checkpoints store them: name, rows (outputs) and columns (inputs). */
export const linears = [
  ["query", layer.width, layer.width],
  ["key", layer.width, layer.width],
  ["value", layer.width, layer.width],
  ["proj", layer.width, layer.width],
  ["up", layer.ffnWidth, layer.width],
  ["down", layer.width, layer.ffnWidth],
];

/**
 * The weights of the layer by name: `query.weight` [out, in], `query.bias` [out], …, `norm1.weight`, `norm1.bias`.
 * @returns {Record<string, Float32Array>}
 */
export function layerWeights() {
  const weights = {};
  for (const [name, out, inputs] of linears) {
    weights[`${name}.weight`] = values(`${name}.weight`, out * inputs, MATRIX_DEVIATION);
    weights[`${name}.bias`] = values(`${name}.bias`, out, VECTOR_DEVIATION);
  }
  for (const name of ["norm1", "norm2"]) {
    weights[`${name}.weight`] = values(`${name}.weight`, layer.width, VECTOR_DEVIATION, 1);
    weights[`${name}.bias`] = values(`${name}.bias`, layer.width, VECTOR_DEVIATION);
  }
  return weights;
}

/** Hidden states [tokens, width]; different ones for every index. */
export function layerInput(index) {
  return values(`input.${index}`, layer.tokens * layer.width, 1);
}

/** The transpose of a row-major matrix [rows, columns]. */
export function transpose(matrix, rows, columns) {
  const out = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = matrix[r * columns + c];
  return out;
}
