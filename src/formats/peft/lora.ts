/** @file PEFT LoRA (and DoRA) tensors under canonical names, with rank and scaling spelt out for every map. */

import { badConfig } from "../adapter-hub/envelope.ts";
import { rowBlock } from "../adapter-hub/tidy.ts";
import type { PlainTensor } from "../adapter-hub/types.ts";
import { badWeights } from "../adapter-hub/weights-file.ts";
import type { JsonObject } from "../json.ts";
import { flag, lookUp, positive, rate, readPattern } from "./config.ts";
import { groupModules, mapName } from "./module-tensors.ts";
import type { AdaptedModule, ReadPeft } from "./module-tensors.ts";

/** What LoRA does to one map: `y += scaling · x Aᵀ Bᵀ`. */
export interface LoraModule {
  readonly r: number;
  readonly alpha: number;
  /** α/r, or α/√r with `use_rslora`. */
  readonly scaling: number;
}

/** Files of a running model carry the adapter's name, "default", where saved ones have nothing. */
const kinds: readonly (readonly [RegExp, string])[] = [
  [/\.lora_A(?:\.default)?\.weight$/, "lora_A"],
  [/\.lora_B(?:\.default)?\.weight$/, "lora_B"],
  [/\.lora_B(?:\.default)?\.bias$/, "lora_bias"],
  [/\.lora_magnitude_vector(?:\.default)?(?:\.weight)?$/, "magnitude"],
];

/**
 * Reads `lora_A` [r, in], `lora_B` [out, r], with DoRA `m.weight` [out, 1], with `lora_bias` that vector [out]. Maps of a
 * fused module share A and hold a third of the rows of everything else.
 */
export function readLora(
  tensors: ReadonlyMap<string, PlainTensor>,
  fields: JsonObject,
  where: string,
  file: string,
): ReadPeft {
  const rank = positive(fields, "r", 8, where);
  const alpha = positive(fields, "lora_alpha", 8, where);
  const ranks = readPattern(fields, "rank_pattern", where);
  const alphas = readPattern(fields, "alpha_pattern", where);
  const rslora = flag(fields, "use_rslora", where);
  const dora = flag(fields, "use_dora", where);
  const bias = flag(fields, "lora_bias", where);
  const dropout = rate(fields, "lora_dropout", where);
  const { modules, rest } = groupModules(tensors, kinds);
  const wrong: string[] = [];
  const result = new Map<string, PlainTensor>();
  const settings: Record<string, LoraModule> = {};
  for (const module of modules) {
    const r = lookUp(ranks, module.path, rank);
    if (!Number.isSafeInteger(r)) throw badConfig(where, `the rank of ${module.path} is ${r}, not a count.`);
    const problems = checkModule(module, r, dora, bias);
    wrong.push(...problems);
    if (problems.length > 0) continue;
    const moduleAlpha = lookUp(alphas, module.path, alpha);
    const scaling = moduleAlpha / (rslora ? Math.sqrt(r) : r);
    for (const [index, map] of module.maps.entries()) {
      const name = mapName(module, map);
      if (settings[name] !== undefined)
        wrong.push(`${module.path} adapts ${name}, which another module adapts already`);
      settings[name] = { r, alpha: moduleAlpha, scaling };
      for (const [tail, tensor] of mapTensors(module, index)) result.set(`${name}.${tail}`, tensor);
    }
  }
  if (wrong.length > 0) throw badWeights(file, `${wrong.join("; ")}.`);
  return {
    config: {
      peft_type: "LORA",
      use_rslora: rslora,
      use_dora: dora,
      modules: settings,
      ...(dropout > 0 ? { lora_dropout: dropout } : {}),
    },
    tensors: result,
    rest,
  };
}

function checkModule({ path, maps, tensors }: AdaptedModule, r: number, dora: boolean, bias: boolean): string[] {
  const problems: string[] = [];
  const a = tensors.get("lora_A");
  const b = tensors.get("lora_B");
  const shape = (tensor: PlainTensor | undefined): string => `[${tensor?.shape.join(", ")}]`;
  if (a === undefined || b === undefined) {
    return [`${path} lacks ${a === undefined ? "lora_A" : "lora_B"}`];
  }
  if (a.shape.length !== 2 || a.shape[0] !== r) problems.push(`${path}.lora_A is ${shape(a)}, not [${r}, in]`);
  if (b.shape.length !== 2 || b.shape[1] !== r) problems.push(`${path}.lora_B is ${shape(b)}, not [out, ${r}]`);
  const out = b.shape[0] ?? 0;
  if (out === 0 || out % maps.length !== 0) problems.push(`${path}.lora_B has ${out} rows for ${maps.length} maps`);
  for (const [kind, wanted] of [
    ["magnitude", dora],
    ["lora_bias", bias],
  ] as const) {
    const tensor = tensors.get(kind);
    if ((tensor !== undefined) !== wanted)
      problems.push(`${path} ${wanted ? "lacks" : "has"} ${kind}, the configuration says otherwise`);
    else if (tensor !== undefined && tensor.data.length !== out)
      problems.push(`${path} ${kind} is ${shape(tensor)}, not [${out}]`);
  }
  return problems;
}

function* mapTensors({ maps, tensors }: AdaptedModule, index: number): Generator<readonly [string, PlainTensor]> {
  for (const [kind, tensor] of tensors) {
    if (kind === "lora_A") yield [kind, tensor];
    else if (kind === "magnitude") {
      const column = { shape: [tensor.data.length, 1], data: tensor.data };
      yield ["m.weight", rowBlock(column, index, maps.length)];
    } else yield [kind, rowBlock(tensor, index, maps.length)];
  }
}
