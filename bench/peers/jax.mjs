/** @file The layer in jax-js on its WebGPU backend: one jitted function, weights resident. */

import { readFileSync } from "node:fs";
import { installNavigator } from "./adapter.mjs";
import { adapterName, requestAdapter } from "./engine.mjs";
import { serve } from "./serve.mjs";
import { layer, linears } from "./weights.mjs";

// jax-js reads `navigator` while it is imported.
await installNavigator();
const { defaultDevice, init, jit, nn, numpy: np, tree } = await import("@jax-js/jax");
// Its package.json is not among its exports.
const { version } = JSON.parse(readFileSync(new URL("node_modules/@jax-js/jax/package.json", import.meta.url), "utf8"));

const { tokens, width, heads, headWidth, eps } = layer;

/** y = x · Wᵀ + bias; `nn` and `np` functions own their arguments, `.ref` keeps one for another use. */
const linear = (x, p, name) => np.dot(x, np.transpose(p[`${name}.weight`])).add(p[`${name}.bias`]);

const norm = (x, p, name) => nn.standardize(x, -1, { epsilon: eps }).mul(p[`${name}.weight`]).add(p[`${name}.bias`]);

/**
 * `nn.dotProductAttention` is einsum, softmax, einsum; einsum needs iterator helpers, which Node 20 lacks, so the two
 * products are spelled out as batched matmuls, the form that einsum takes them to.
 */
const forward = jit((p, x) => {
  const split = (name, order) => np.transpose(linear(x.ref, p, name).reshape([tokens, heads, headWidth]), order);
  const scores = np.matmul(split("query", [1, 0, 2]), split("key", [1, 2, 0])).mul(1 / Math.sqrt(headWidth));
  const mixed = np
    .transpose(np.matmul(nn.softmax(scores), split("value", [1, 0, 2])), [1, 0, 2])
    .reshape([tokens, width]);
  const h = norm(linear(mixed, p, "proj").add(x), p, "norm1");
  const active = nn.gelu(linear(h.ref, p, "up"), { approximate: false });
  return norm(linear(active, p, "down").add(h), p, "norm2");
});

await serve(async (weights) => {
  const found = await init("webgpu");
  if (!found.includes("webgpu")) throw new Error("jax-js found no WebGPU device");
  defaultDevice("webgpu");
  const shapes = new Map(linears.map(([name, out, inputs]) => [`${name}.weight`, [out, inputs]]));
  const arrays = Object.entries(weights).map(([name, data]) => [
    name,
    np.array(data).reshape(shapes.get(name) ?? [data.length]),
  ]);
  const parameters = Object.fromEntries(arrays);
  return {
    name: "jax-js",
    version,
    adapter: adapterName((await requestAdapter("auto")).info),
    run: async (x) => forward(tree.ref(parameters), np.array(x).reshape([tokens, width])).data(),
  };
});
