/**
 * @file Fresh values of an adapter's tensors, seeded: the same seed gives the same numbers on every machine. The
 * distributions are the library's (MATHS §2.1, §2.7, §2.8), the numbers are not: torch's generator is another.
 */

import { EngineError } from "../../errors.ts";
import { gaussian, generator } from "../../random.ts";
import type { Random } from "../../random.ts";
import { unsupported } from "./fields.ts";
import { adapterModules } from "./shapes.ts";
import type { AdapterModule, Shape } from "./shapes.ts";
import type { AdapterConfig, AdapterHost, BottleneckConfig, LoraConfig, PrefixConfig, PromptConfig } from "./types.ts";

/** A tensor with its values, row-major. */
export interface InitialTensor {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** Norms of the rows of a base weight [out, in]: DoRA's magnitudes start there. */
export type BaseRowNorms = (layer: number, map: string) => Float32Array;

/** Draws one value, given its place in the tensor. */
type Draw = (index: number) => number;

/** Keeps seeds of neighbouring modules apart. */
const SEED_STRIDE = 1000003;

/** More values than any adapter has, and few enough to allocate: 2 GiB. */
const MOST_VALUES = 2 ** 29;

/**
 * Every tensor of {@link expectedTensors}, drawn afresh.
 * @param seed for configurations whose `init_weights_seed` is null or 0
 * @param baseRowNorms needed by `use_dora` alone
 * @throws EngineError BAD_CONFIG for DoRA without base norms, UNSUPPORTED for prompts from text, LIMIT for absurd sizes
 */
export function initialTensors(
  config: AdapterConfig,
  host: AdapterHost,
  seed = 0,
  baseRowNorms?: BaseRowNorms,
): Map<string, InitialTensor> {
  const modules = adapterModules(config, host);
  checkSize(modules);
  const made = new Map<string, InitialTensor>();
  modules.forEach((module, index) => {
    const random = generator(moduleSeed(module, seed, index));
    for (const [tail, shape] of module.tensors) {
      const data = values(module, tail, shape, random, baseRowNorms);
      made.set(module.prefix + tail, { shape, data });
    }
  });
  return made;
}

function checkSize(modules: readonly AdapterModule[]): void {
  const shapes = modules.flatMap(({ tensors }) => Array.from(tensors.values()));
  const total = shapes.reduce((sum, shape) => sum + elements(shape), 0);
  if (total <= MOST_VALUES) return;
  throw new EngineError("LIMIT", `the adapter has ${total} values, at most ${MOST_VALUES} can be drawn`, {
    where: "config",
    fix: "give a smaller rank, width or length",
  });
}

/** The library reseeds before every module where a seed is set, so that all modules start identical; 0 counts as unset. */
function moduleSeed({ config, layer, kind }: AdapterModule, seed: number, index: number): number {
  const own = config.init_weights_seed;
  // The layer site is ours: its layers differ, also under a seed.
  const atLayerSite = kind === "bottleneck" && config.architecture === null && config.layer_adapter;
  if (atLayerSite) return (own || seed) * SEED_STRIDE + (layer ?? 0);
  return own || seed * SEED_STRIDE + index;
}

function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

function values(
  module: AdapterModule,
  tail: string,
  shape: Shape,
  random: Random,
  baseRowNorms: BaseRowNorms | undefined,
): Float32Array {
  if (tail === "m.weight") return magnitudes(module, elements(shape), baseRowNorms);
  const draw = drawOf(module, tail, shape, random);
  const data = new Float32Array(elements(shape));
  for (let index = 0; index < data.length; index += 1) data[index] = draw(index);
  return data;
}

function magnitudes(module: AdapterModule, rows: number, baseRowNorms: BaseRowNorms | undefined): Float32Array {
  const { layer, map, prefix } = module;
  const name = map?.name ?? "";
  const norms = baseRowNorms?.(layer ?? 0, name);
  if (norms?.length === rows) return Float32Array.from(norms);
  const problem = norms === undefined ? "needs the norms of the base weights" : `got ${norms.length} norms`;
  throw new EngineError(
    "BAD_CONFIG",
    `adapter config: use_dora: ${prefix}m.weight ${problem}, one for each of ${rows} rows`,
    {
      where: "use_dora",
      fix: "pass baseRowNorms, or the adapter's tensors",
    },
  );
}

function drawOf(module: AdapterModule, tail: string, shape: Shape, random: Random): Draw {
  const config = module.config;
  switch (config.architecture) {
    case "lora":
      return loraDraw(config, tail, shape, module, random);
    case "prefix_tuning":
      return prefixDraw(config, module, tail, random);
    case "prompt_tuning":
      return promptDraw(config, random);
    default:
      return bottleneckDraw(config, module, tail, shape, random);
  }
}

const zero: Draw = () => 0;
const one: Draw = () => 1;

function normalDraw(random: Random, deviation: number): Draw {
  return () => deviation * gaussian(random);
}

/** Uniform in ±bound. */
function uniformDraw(random: Random, bound: number): Draw {
  return () => bound * (2 * random() - 1);
}

/** Kaiming uniform with a = √5, torch's default for the weight and the bias of a Linear: ±1/√fan_in. */
function linearDraw(random: Random, inputs: number): Draw {
  return uniformDraw(random, 1 / Math.sqrt(inputs));
}

/** Normal, cut at two standard deviations. */
function truncatedDraw(random: Random, deviation: number): Draw {
  return () => {
    for (;;) {
      const value = gaussian(random);
      if (Math.abs(value) <= 2) return deviation * value;
    }
  };
}

function bottleneckDraw(
  config: BottleneckConfig,
  module: AdapterModule,
  tail: string,
  shape: Shape,
  random: Random,
): Draw {
  if (module.kind === "invertible") return tail.endsWith("bias") ? zero : normalDraw(random, 0.02);
  if (tail.includes("phm_rule")) return phmRuleDraw(config, module.kind === "phm", random);
  if (/(^|\.)W/.test(tail)) {
    // Per block of a stack: Xavier normal, whatever hypercomplex_nonlinearity says (MATHS §2.8).
    const [, rows = 1, columns = 1] = shape;
    return normalDraw(random, Math.sqrt(2 / (rows + columns)));
  }
  if (tail === "scaling" || /norm_(before|after)\.weight$/.test(tail)) return one;
  if (tail.startsWith("gate.")) return bottleneckGateDraw(config, module, tail, random);
  if (!tail.endsWith("weight")) return zero;
  switch (config.init_weights) {
    case "bert":
      return normalDraw(random, 0.02);
    case "houlsby":
      return truncatedDraw(random, 0.01);
    case "houlsby_2019":
      return truncatedDraw(random, 0.001);
    default:
      // A zero up-projection makes the adapter start as nothing.
      return tail.startsWith("adapter_up.") ? zero : linearDraw(random, shape[1] ?? 1);
  }
}

function phmRuleDraw(config: BottleneckConfig, shared: boolean, random: Random): Draw {
  if (config.phm_c_init === "uniform") return uniformDraw(random, shared ? 1 : 0.01);
  return normalDraw(random, shared ? config.phm_init_range : 0.01);
}

/** "houlsby" leaves the gate as torch makes it; the others draw it as BERT's. */
function bottleneckGateDraw(config: BottleneckConfig, module: AdapterModule, tail: string, random: Random): Draw {
  if (config.init_weights.startsWith("houlsby")) return linearDraw(random, inputsOf(module, "gate.weight"));
  return tail.endsWith("bias") ? zero : normalDraw(random, 0.02);
}

function inputsOf(module: AdapterModule, weight: string): number {
  return module.tensors.get(weight)?.[1] ?? 1;
}

function loraDraw(config: LoraConfig, tail: string, shape: Shape, module: AdapterModule, random: Random): Draw {
  const diagonal =
    (value: number): Draw =>
    (index) =>
      index % ((shape[0] ?? 1) + 1) === 0 ? value : 0;
  switch (tail) {
    case "vera_D":
      return diagonal(config.vera_d ?? 0);
    case "vera_B":
      return diagonal(config.vera_b ?? 0);
    case "gate.weight":
      return normalDraw(random, 0.02);
    case "gate.bias":
      return linearDraw(random, inputsOf(module, "gate.weight"));
  }
  switch (config.init_weights) {
    case "bert":
      return normalDraw(random, 0.02);
    case "ia3":
      return one;
    case "vera":
      // Kaiming uniform with a = 0: ±√(6 / fan_in).
      return uniformDraw(random, Math.sqrt(6 / (shape[1] ?? 1)));
    default:
      return tail === "lora_A" ? linearDraw(random, shape[1] ?? 1) : zero;
  }
}

function prefixDraw(config: PrefixConfig, module: AdapterModule, tail: string, random: Random): Draw {
  if (module.kind === "prefix gate") {
    return tail === "weight" ? normalDraw(random, 0.02) : linearDraw(random, inputsOf(module, "weight"));
  }
  if (config.flat || tail === "wte.weight") return normalDraw(random, 1);
  return linearDraw(random, inputsOf(module, tail.replace(/bias$/, "weight")));
}

function promptDraw(config: PromptConfig, random: Random): Draw {
  if (config.prompt_init === "random_uniform") return uniformDraw(random, 0.5);
  const fix = "use random_uniform, or give the tensors: the embeddings of the text, repeated or cut to prompt_length";
  throw unsupported("prompt_init", "is from_string, which needs a tokenizer", fix);
}
