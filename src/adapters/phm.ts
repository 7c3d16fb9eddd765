/**
 * @file Parametrised hypercomplex multiplication (Compacter, MATHS §2.8) as the dense matrix that it is:
 * W = Σ_i kron(R_i, L_i M_i), y = x W + b. Frozen, so it is expanded once and runs like any bottleneck.
 */

import type { AdapterTensor, AdapterTensors } from "./tensors.ts";
import { multiply, need } from "./tensors.ts";

/** Batched product of the two factors of a three-axis tensor: [p, m, r] and [p, r, n] give [p, m, n]. */
function batched(left: AdapterTensor, right: AdapterTensor): AdapterTensor {
  const [count, m, inner] = left.shape as [number, number, number];
  const n = right.shape[2] as number;
  const data = new Float32Array(count * m * n);
  for (let i = 0; i < count; i += 1) {
    const a = left.data.subarray(i * m * inner, (i + 1) * m * inner);
    const b = right.data.subarray(i * inner * n, (i + 1) * inner * n);
    data.set(multiply(a, b, m, inner, n), i * m * n);
  }
  return { data, shape: [count, m, n] };
}

/** R [p, p, p]: the module's own or the shared one, whole or as two factors. */
function rule(tensors: AdapterTensors, prefix: string): AdapterTensor {
  for (const at of [`${prefix}phm_rule`, "shared_parameters.phm_rule"]) {
    const whole = tensors.get(at);
    if (whole !== undefined) return whole;
    const left = tensors.get(`${at}_left`);
    if (left !== undefined) return batched(left, need(tensors, `${at}_right`));
  }
  return need(tensors, `${prefix}phm_rule`);
}

/** L M [p, in/p, out/p]: whole, as the module's factors, or as the shared factors. */
function blocks(tensors: AdapterTensors, prefix: string, shared: "W_down" | "W_up"): AdapterTensor {
  const whole = tensors.get(`${prefix}W`);
  if (whole !== undefined) return whole;
  const own = tensors.get(`${prefix}W_left`);
  if (own !== undefined) return batched(own, need(tensors, `${prefix}W_right`));
  return batched(need(tensors, `shared_parameters.${shared}_left`), need(tensors, `shared_parameters.${shared}_right`));
}

/**
 * Expands one map of a Compacter.
 * @param prefix of its tensors, such as `layers.0.ffn.adapter_down.0.`
 * @returns the weight as [out, in], like any Linear
 */
export function expandPhm(tensors: AdapterTensors, prefix: string, shared: "W_down" | "W_up"): AdapterTensor {
  const r = rule(tensors, prefix);
  const w = blocks(tensors, prefix, shared);
  const [p, rows, columns] = w.shape as [number, number, number];
  const inputs = p * rows;
  const outputs = p * columns;
  const sums = new Float64Array(outputs * inputs);
  for (let i = 0; i < p; i += 1) {
    for (let a = 0; a < p; a += 1) {
      for (let c = 0; c < p; c += 1) {
        const factor = r.data[(i * p + a) * p + c] as number;
        for (let u = 0; u < rows; u += 1) {
          for (let v = 0; v < columns; v += 1) {
            const at = (c * columns + v) * inputs + a * rows + u;
            sums[at] = (sums[at] as number) + factor * (w.data[(i * rows + u) * columns + v] as number);
          }
        }
      }
    }
  }
  return { data: Float32Array.from(sums), shape: [outputs, inputs] };
}
