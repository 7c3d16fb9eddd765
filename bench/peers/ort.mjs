/**
 * @file The layer in onnxruntime-node on its WebGPU provider, which is native code with a Dawn of its own: this process
 * loads no other, and the Vulkan loader is told which driver to use before onnxruntime starts.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { adapterFactsElsewhere } from "./adapter.mjs";
import { ensureVulkanLoader, softwareDriver } from "./engine.mjs";
import { onnxModel } from "./onnx.mjs";
import { serve } from "./serve.mjs";
import { layer } from "./weights.mjs";

const require = createRequire(import.meta.url);

/** What this process has really loaded, where the system can say so. */
function checkDriver(manifest) {
  if (process.platform !== "linux" || manifest === undefined) return;
  const library = JSON.parse(readFileSync(manifest, "utf8")).ICD.library_path.split("/").at(-1);
  if (!readFileSync("/proc/self/maps", "utf8").includes(library))
    throw new Error(`onnxruntime did not load ${library}`);
}

await serve(async (weights) => {
  const { name, environment } = adapterFactsElsewhere();
  Object.assign(process.env, environment);
  if (process.platform === "linux") ensureVulkanLoader((await softwareDriver())?.loader ?? null);
  const ort = require("onnxruntime-node");
  const session = await ort.InferenceSession.create(onnxModel(weights), {
    executionProviders: ["webgpu"],
    graphOptimizationLevel: "all",
    // An operator that the provider lacks is an error, not a detour through the CPU.
    extra: { session: { disable_cpu_ep_fallback: "1" } },
  });
  checkDriver(environment.VK_DRIVER_FILES);
  return {
    name: "onnxruntime-node",
    version: require("onnxruntime-node/package.json").version,
    adapter: name,
    run: async (x) => (await session.run({ x: new ort.Tensor("float32", x, [1, layer.tokens, layer.width]) })).y.data,
  };
});
