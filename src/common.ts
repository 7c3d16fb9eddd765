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
export type { CodaOptions, CodaPolicy, RoutedAttention, RoutedPart } from "./routing/coda.ts";
export { routerNames, routers } from "./routing/routers/index.ts";
export type { OracleIndices, SeparateOptions } from "./routing/routers/index.ts";
export type { ChosenRows, KeyRouting, Router, RouterSettings, RouterSite, Scored } from "./routing/router.ts";
export { expectTraceOf, makeTrace, parseTrace, traceOf } from "./routing/trace.ts";
export type {
  CurvePoint,
  LayerSource,
  LayerTrace,
  RoutingTrace,
  SequenceFacts,
  SequenceTrace,
  TraceSource,
} from "./routing/trace.ts";
export { accuracy, layerLoad, overlap, overlapByChance, typeLoads } from "./routing/trace-measures.ts";
export type { LayerLoad, TypeLoad } from "./routing/trace-measures.ts";
export { audioTrace, imageTrace } from "./routing/trace-media.ts";
export { renderRoutingReport } from "./routing/report.ts";
export type { CodaJson } from "./routing/coda-json.ts";
export { readRouters, routersFile } from "./model/routers-file.ts";
export type { RouterChanges } from "./model/routers-file.ts";
export { Model } from "./model/model.ts";
export type { AdapterReport } from "./model/adapter-store.ts";
export type { AdapterInput, FusionInput, HeadInput } from "./model/folders.ts";
export type { Compat, LayerRouting, LoadReport, RunInput, RunOptions, RunOutput, Tensor } from "./model/types.ts";
export type { LoadOptions, LoadProgress } from "./model/load.ts";
export { adapterFiles, fusionFiles, headFiles, setupFiles, taskFiles } from "./model/save.ts";
export { modelFiles } from "./model/save-host.ts";
export type { SaveModelOptions } from "./model/save-host.ts";
export type { SaveAdapterOptions, SaveOptions } from "./model/save.ts";
export { averageFusionWeights, dropFusion, forceFusion, pruneFusion } from "./model/fusion-tools.ts";
export type { FusionAverage, Pruning } from "./model/fusion-tools.ts";
export type { FusionMembers, ModelContents } from "./model/contents.ts";
export type { NormsInput, TaskInput, TaskParts, TaskReport } from "./model/tasks.ts";
export { fuse, stack, split, batchSplit, parallel, average, none } from "./adapters/composition.ts";
export type { Composition, CompositionInput } from "./adapters/composition.ts";
export { checkComposition } from "./adapters/composition-check.ts";
export { formatComposition, parseComposition } from "./adapters/composition-text.ts";
export { compositionFromJson, compositionToJson } from "./adapters/composition-json.ts";
