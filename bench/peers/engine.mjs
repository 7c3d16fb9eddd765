/**
 * @file Everything this package takes from adapters-webgpu, in one place: the engine itself, the software adapter that
 * all engines share, and the polite waiting that comes with opening it.
 */

export { adapterName, isSoftware } from "../../src/gpu/info.ts";
export { Arena } from "../../src/graph/arena.ts";
export { GraphBuilder } from "../../src/graph/builder.ts";
export { Parameters } from "../../src/graph/parameters.ts";
export { optimize } from "../../src/graph/passes/optimize.ts";
export { Plan } from "../../src/graph/plan.ts";
export { ROWS, segmentsInput } from "../../src/hosts/symbols.ts";
export { postNormLayer } from "../../src/hosts/transformer-layer.ts";
export { WeightLookup } from "../../src/hosts/weights.ts";
export { openGpu, requestAdapter } from "../../src/node/open.ts";
export { softwareDriver } from "../../src/node/swiftshader.ts";
export { driversChosenByUser, ensureVulkanLoader, outlyingDriver } from "../../src/node/vulkan.ts";
