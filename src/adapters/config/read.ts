/** @file Reads the configuration of an adapter from a preset's name or a JSON object, for one host. */

import { EngineError } from "../../errors.ts";
import { badField, isObject, unsupported } from "./fields.ts";
import type { RawConfig } from "./fields.ts";
import { expectedTensors } from "./shapes.ts";
import { adapterPresets } from "./presets.ts";
import { readBottleneckConfig } from "./read-bottleneck.ts";
import { readLoraConfig } from "./read-lora.ts";
import { readPrefixConfig, readPromptConfig } from "./read-prefix.ts";
import type { AdapterConfig, AdapterHost, MethodConfig } from "./types.ts";

/** Methods and presets of the library that this engine leaves out on purpose. */
const OUT_OF_SCOPE: ReadonlySet<unknown> = new Set(["reft", "loreft", "noreft", "direft", "mtl_lora"]);

const ARCHITECTURES = "null, lora, prefix_tuning, prompt_tuning or union";

/**
 * @param config a preset's name, or fields under the library's names; with `layer_adapter: true` the defaults are those of `coda`
 * @throws EngineError BAD_CONFIG with `where` = the field; UNSUPPORTED for methods out of scope; UNKNOWN_NAME for a preset
 * @example
 * readAdapterConfig("seq_bn", host);
 * readAdapterConfig({ architecture: "lora", r: 4, attn_matrices: ["q", "k", "v"] }, host);
 */
export function readAdapterConfig(config: string | RawConfig, host: AdapterHost): AdapterConfig {
  if (typeof config === "string") return readObject(presetNamed(config), host);
  if (!isObject(config)) throw badField("config", "is neither a preset's name nor an object", "give one of the two");
  return readObject(config, host);
}

function presetNamed(name: string): RawConfig {
  if (OUT_OF_SCOPE.has(name)) throw unsupported(name, "is out of scope", "use another method, such as lora");
  const preset = Object.hasOwn(adapterPresets, name) ? adapterPresets[name] : undefined;
  if (preset !== undefined) return preset;
  throw new EngineError("UNKNOWN_NAME", `there is no adapter preset ${name}`, {
    where: name,
    fix: `use one of ${Object.keys(adapterPresets).join(", ")}`,
  });
}

function readObject(raw: RawConfig, host: AdapterHost): AdapterConfig {
  if (raw.architecture !== "union") return readMethod(raw, host, "");
  const { configs, architecture, ...others } = raw;
  const stray = Object.keys(others).filter((name) => others[name] !== undefined && others[name] !== null);
  if (stray.length > 0) {
    throw badField(stray.join(", "), "is set beside a union", "put it into one of its configs");
  }
  if (!Array.isArray(configs) || configs.length === 0) {
    throw badField("configs", "is not a list of configurations", "give one object per method");
  }
  const methods = configs.map((entry: unknown, index) => {
    const where = `configs.${index}`;
    if (!isObject(entry)) throw badField(where, "is not an object", "give the fields of one method");
    if (entry.architecture === "union") throw badField(where, "is a union in a union", "list its methods directly");
    return readMethod(entry, host, `${where}.`);
  });
  checkDisjoint(methods, host);
  return { architecture, configs: methods };
}

/** Two methods of a union may not own the same tensor: neither a file nor a bank could tell them apart. */
function checkDisjoint(methods: readonly MethodConfig[], host: AdapterHost): void {
  const owners = new Map<string, number>();
  methods.forEach((method, index) => {
    for (const name of expectedTensors(method, host).keys()) {
      const owner = owners.get(name);
      if (owner !== undefined) {
        const problem = `both own ${name}`;
        throw badField(`configs.${owner} and configs.${index}`, problem, "give them other places, maps or layers");
      }
      owners.set(name, index);
    }
  });
}

function readMethod(raw: RawConfig, host: AdapterHost, path: string): MethodConfig {
  const { architecture } = raw;
  if (OUT_OF_SCOPE.has(architecture)) {
    throw unsupported(`${path}architecture`, `${String(architecture)} is out of scope`, `use ${ARCHITECTURES}`);
  }
  switch (architecture ?? null) {
    case null:
    case "bottleneck":
      return readBottleneckConfig(raw, host, path);
    case "lora":
      return readLoraConfig(raw, host, path);
    case "prefix_tuning":
      return readPrefixConfig(raw, host, path);
    case "prompt_tuning":
      return readPromptConfig(raw, path);
    default:
      throw badField(`${path}architecture`, `is ${JSON.stringify(architecture)}`, `use ${ARCHITECTURES}`);
  }
}
