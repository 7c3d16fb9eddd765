/** @file PEFT IA³ vectors under canonical names: on a map's output, or on the input of feed-forward maps. */

import { rowBlock } from "../adapter-hub/tidy.ts";
import type { PlainTensor } from "../adapter-hub/types.ts";
import { badWeights } from "../adapter-hub/weights-file.ts";
import type { JsonObject } from "../json.ts";
import { matchesName, nameList } from "./config.ts";
import { groupModules, mapName } from "./module-tensors.ts";
import type { ReadPeft } from "./module-tensors.ts";

/** Which side of one map the vector multiplies. */
export interface Ia3Module {
  readonly input: boolean;
}

const kinds: readonly (readonly [RegExp, string])[] = [[/\.ia3_l(?:\.default)?$/, "ia3_l"]];

/** Reads `ia3_l` [out, 1] as `lora_B`, and [1, in] of feed-forward modules as `ia3_in` [in]. */
export function readIa3(
  tensors: ReadonlyMap<string, PlainTensor>,
  fields: JsonObject,
  where: string,
  file: string,
): ReadPeft {
  const feedforward = nameList(fields, "feedforward_modules", where);
  const { modules, rest } = groupModules(tensors, kinds);
  const result = new Map<string, PlainTensor>();
  const settings: Record<string, Ia3Module> = {};
  const wrong: string[] = [];
  for (const module of modules) {
    const tensor = module.tensors.get("ia3_l") as PlainTensor;
    const [rows = 0, columns = 0] = tensor.shape;
    const input = feedforward === null ? rows === 1 && columns !== 1 : matchesName(module.path, feedforward);
    const count = input ? 1 : module.maps.length;
    if (tensor.shape.length !== 2 || (input ? rows : columns) !== 1 || rows % count !== 0 || tensor.data.length === 0) {
      wrong.push(`${module.path}.ia3_l is [${tensor.shape.join(", ")}], not ${input ? "[1, in]" : "[out, 1]"}`);
      continue;
    }
    for (const [index, map] of module.maps.entries()) {
      const name = mapName(module, map);
      if (settings[name] !== undefined)
        wrong.push(`${module.path} adapts ${name}, which another module adapts already`);
      settings[name] = { input };
      if (input) result.set(`${name}.ia3_in`, { shape: [columns], data: tensor.data });
      else result.set(`${name}.lora_B`, rowBlock(tensor, index, count));
    }
  }
  if (wrong.length > 0) throw badWeights(file, `${wrong.join("; ")}.`);
  return { config: { peft_type: "IA3", modules: settings }, tensors: result, rest };
}
