/** @file Fields of adapters that packing folds into other values, so that what runs cannot be trained: each refused by its name. */

import { EngineError } from "../errors.ts";
import type { BottleneckConfig, LoraConfig, MethodConfig, PrefixConfig } from "./config/types.ts";
import type { AdapterDefinition } from "./define.ts";

/** A field that is folded, how, and what to do about it. */
interface Folded {
  readonly field: string;
  readonly what: string;
  readonly fix: string;
}

function ofBottleneck({ phm_layer, ln_before, scaling }: BottleneckConfig): Folded | null {
  if (phm_layer)
    return {
      field: "phm_layer",
      what: "its hypercomplex factors run as the dense matrices that they make",
      fix: "train a bottleneck with phm_layer: false",
    };
  if (ln_before)
    return {
      field: "ln_before",
      what: "the affine part of its norm runs as part of the down-projection",
      fix: "train it with ln_before: false",
    };
  if (typeof scaling === "number") return null;
  return {
    field: "scaling",
    what: `its ${scaling} scaling runs as ${scaling === "channel" ? "part of the up-projection" : "a constant"}`,
    fix: "give scaling as a number",
  };
}

function ofLora({ use_dora, vera_d, composition_mode, alpha, use_gating }: LoraConfig): Folded | null {
  if (use_dora)
    return {
      field: "use_dora",
      what: "its magnitudes run as factors that the frozen weights are divided out of",
      fix: "train a LoRA with use_dora: false",
    };
  if (vera_d !== null)
    return {
      field: "vera_d",
      what: "its diagonals run as part of the matrices that they scale",
      fix: "train a LoRA with vera_d: null",
    };
  if (composition_mode === "add" || use_gating || alpha === 1) return null;
  return { field: "alpha", what: `its vectors run multiplied by ${alpha}`, fix: "train it with alpha: 1" };
}

function ofPrefix({ flat }: PrefixConfig): Folded | null {
  if (flat) return null;
  return {
    field: "flat",
    what: "its reparametrisation was evaluated when it was added",
    fix: "call ejectPrefix on it first, or add it with flat: true",
  };
}

function ofMethod(config: MethodConfig): Folded | null {
  switch (config.architecture) {
    case "lora":
      return ofLora(config);
    case "prefix_tuning":
      return ofPrefix(config);
    case "prompt_tuning":
      return null;
    default:
      return ofBottleneck(config);
  }
}

/** DoRA, and scales that differ among the maps of one product: they are taken into B then. */
function ofPeft({ peft, tensors }: AdapterDefinition): Folded | null {
  if ([...tensors.keys()].some((name) => name.endsWith(".m.weight")))
    return {
      field: "use_dora",
      what: "its magnitudes run as factors that the frozen weights are divided out of",
      fix: "train a LoRA with use_dora: false",
    };
  const modules = (peft?.modules ?? {}) as Readonly<Record<string, { readonly scaling?: number }>>;
  const scales = new Map<string, number>();
  for (const [module, { scaling = 1 }] of Object.entries(modules)) {
    const product = module.replace(/\.(query|key|value)$/, ".qkv");
    if ((scales.get(product) ?? scaling) !== scaling)
      return {
        field: "alpha_pattern",
        what: `queries, keys and values of ${module.slice(0, module.lastIndexOf("."))} have different scales, which run as part of B`,
        fix: "give them one rank and one alpha",
      };
    scales.set(product, scaling);
  }
  return null;
}

/**
 * Refuses an adapter whose tensors do not run as they are.
 * @throws EngineError UNSUPPORTED naming adapter, field and fix
 */
export function refuseFolded(name: string, definition: AdapterDefinition): void {
  const { config } = definition;
  const methods: readonly MethodConfig[] =
    config === null ? [] : config.architecture === "union" ? config.configs : [config];
  const folded = config === null ? ofPeft(definition) : (methods.map(ofMethod).find((one) => one !== null) ?? null);
  if (folded === null) return;
  const message = `adapter ${name} cannot be trained: ${folded.field}: ${folded.what}`;
  throw new EngineError("UNSUPPORTED", message, { where: folded.field, fix: folded.fix });
}
