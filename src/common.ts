/** @file What both faces export: the engine without the door to a device. */

export { EngineError } from "./errors.ts";
export type { ErrorCode } from "./errors.ts";
export { createGpu, Gpu } from "./gpu/gpu.ts";
export type { GpuInfo } from "./gpu/gpu.ts";
export { folderFromFiles, folderFromUrl } from "./formats/folder.ts";
export type { Folder } from "./formats/folder.ts";
export * as ops from "./ops/index.ts";
export { GraphBuilder } from "./graph/builder.ts";
export { evaluate } from "./graph/evaluate.ts";
export { optimize } from "./graph/passes/optimize.ts";
export { Arena } from "./graph/arena.ts";
export { Parameters } from "./graph/parameters.ts";
export { Plan } from "./graph/plan.ts";
export { explain, formatExplanation } from "./graph/explain.ts";
export type { Graph, Value } from "./graph/value.ts";
export { runtimeDim } from "./ops/op.ts";
export { coda } from "./routing/coda.ts";
export type { CodaOptions, CodaPolicy } from "./routing/coda.ts";
export { makeTrace, parseTrace } from "./routing/trace.ts";
export type { RoutingTrace } from "./routing/trace.ts";
export { renderRoutingReport } from "./routing/report.ts";
export { Model } from "./model/model.ts";
export type { AdapterSource } from "./model/model.ts";
export type { LayerRouting, LoadReport, RunInput, RunOptions, RunOutput, Tensor } from "./model/types.ts";
export type { LoadOptions, LoadProgress } from "./model/load.ts";
export { fuse, stack, split, batchSplit, parallel, average } from "./model/compositions.ts";
