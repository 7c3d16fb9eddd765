/**
 * @file Methods that the oracle does not know, as float64 formulas on its plain hosts (MATHS §1.2, §2.3, §2.6, §3.2): adapters
 * of ours, and those of PEFT in PEFT's own files.
 */

import type { AdapterInput } from "../../src/model/folders.ts";
import { readTensors } from "../oracle/adapter-files.ts";
import type { Files } from "../oracle/adapter-files.ts";
import { bare, forward, hostEnd } from "../oracle/host.ts";
import type { Hooks, MapName, OracleHost } from "../oracle/host.ts";
import { TensorList } from "../oracle/random-draw.ts";
import type { Draw } from "../oracle/random-draw.ts";
import type { RandomHost } from "../oracle/random-host.ts";
import { activate, add, at, linear, need, product, scale, scaleColumns } from "../oracle/rows.ts";
import type { Rows, Tensor } from "../oracle/rows.ts";
import { memoryFolder } from "../formats/memory-folder.ts";

/** A method: random files for a host, what the engine gets of them, and the last hidden state of one sequence. */
export interface Method {
  readonly name: string;
  readonly families: readonly RandomHost["family"][];
  readonly files: (host: RandomHost, draw: Draw) => Files;
  readonly input: (files: Files) => AdapterInput;
  readonly run: (host: OracleHost, files: Files, ids: readonly number[]) => Rows;
}

type Find = (name: string) => Tensor;
type Config = Readonly<Record<string, unknown>>;

const WEIGHTS = "adapter_model.safetensors";
const both = ["bert", "gpt2"] as const;

function tensorsOf(files: Files): Map<string, Tensor> {
  return readTensors(files, WEIGHTS);
}

function finder(files: Files): Find {
  const tensors = tensorsOf(files);
  return (name) => need(tensors.get(name), name);
}

/** Canonical tensors beside a configuration or preset. */
function plain(config: string | Config): Method["input"] {
  return (files) => {
    const entries = [...tensorsOf(files)].map(([name, { shape, data }]) => [
      name,
      { shape, data: Float32Array.from(data) },
    ]);
    return { config, tensors: Object.fromEntries(entries) as Record<string, { shape: number[]; data: Float32Array }> };
  };
}

const folder: Method["input"] = (files) => memoryFolder(Object.entries(files));

/** A(x) without scale and skip. */
function bottleneck(find: Find, prefix: string, x: Rows, activation: string): Rows {
  const down = linear(x, find(`${prefix}adapter_down.0.weight`), find(`${prefix}adapter_down.0.bias`));
  return linear(activate(down, activation), find(`${prefix}adapter_up.weight`), find(`${prefix}adapter_up.bias`));
}

function addBottleneck(tensors: TensorList, prefix: string, width: number, inner: number): void {
  tensors.linear(`${prefix}adapter_down.0`, inner, width, 1.2).linear(`${prefix}adapter_up`, width, inner);
}

const layersOf = ({ layers }: { layers: number }): number[] => Array.from({ length: layers }, (_, layer) => layer);

/** One Pfeiffer adapter for all layers: y = LN(f + A(LN(f + h)) + h). */
const shared: Method = {
  name: "cross-layer sharing",
  families: both,
  files: (host, draw) => {
    const tensors = new TensorList(draw);
    addBottleneck(tensors, "shared.ffn.", host.width, host.width / 4);
    return { [WEIGHTS]: tensors.write() };
  },
  input: plain({
    mh_adapter: false,
    output_adapter: true,
    original_ln_before: true,
    non_linearity: "relu",
    reduction_factor: 4,
    cross_layer_sharing: true,
  }),
  run: (host, files, ids) =>
    forward(host, ids, {
      ...bare,
      close: (_layer, site, f, h, norm) => {
        if (site === "attention") return hostEnd(f, h, norm);
        return hostEnd(add(f, bottleneck(finder(files), "shared.ffn.", hostEnd(f, h, norm), "relu")), h, norm);
      },
    }),
};

/** Houlsby et al. 2019: width 64, tanh-GELU, after both sub-layers: y = LN(f + A(f) + h). */
const houlsby: Method = {
  name: "original_houlsby",
  families: both,
  files: (host, draw) => {
    const tensors = new TensorList(draw);
    for (const layer of layersOf(host)) {
      for (const place of ["attention", "ffn"]) addBottleneck(tensors, `layers.${layer}.${place}.`, host.width, 64);
    }
    return { [WEIGHTS]: tensors.write() };
  },
  input: plain("original_houlsby"),
  run: (host, files, ids) =>
    forward(host, ids, {
      ...bare,
      close: (layer, site, f, h, norm) =>
        hostEnd(add(f, bottleneck(finder(files), `layers.${layer}.${site}.`, f, "gelu_new")), h, norm),
    }),
};

/** CoDA's light path beside a dense layer: Layer(X) + A(Xn), Xn being what the attention reads. */
const coda: Method = {
  name: "coda",
  families: both,
  files: (host, draw) => {
    const tensors = new TensorList(draw);
    for (const layer of layersOf(host)) addBottleneck(tensors, `layers.${layer}.`, host.width, host.width / 4);
    return { [WEIGHTS]: tensors.write() };
  },
  input: plain({ layer_adapter: true, reduction_factor: 4 }),
  run: (host, files, ids) => {
    const inputs: Rows[] = [];
    return forward(host, ids, {
      ...bare,
      prefix: (layer, x) => {
        inputs[layer] = x;
        return [];
      },
      close: (layer, site, f, h, norm) => {
        const end = hostEnd(f, h, norm);
        if (site === "attention") return end;
        return add(end, bottleneck(finder(files), `layers.${layer}.`, need(inputs[layer], "an input"), "relu"));
      },
    });
  },
};

const bertPaths: Readonly<Partial<Record<MapName, string>>> = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  proj: "attention.output.dense",
  up: "intermediate.dense",
  down: "output.dense",
};

/** PEFT's name of a map's module on BERT, or of the module that holds it on GPT-2. */
function moduleOf(family: RandomHost["family"], layer: number, map: MapName): string {
  if (family === "bert") return `bert.encoder.layer.${layer}.${bertPaths[map]}`;
  const path =
    map === "up" ? "mlp.c_fc" : map === "down" ? "mlp.c_proj" : map === "proj" ? "attn.c_proj" : "attn.c_attn";
  return `transformer.h.${layer}.${path}`;
}

/** Which rows of its module a map has: a third of GPT-2's fused one. */
function rowsFor(host: OracleHost, map: MapName, tensor: Tensor): Tensor {
  const which = ["query", "key", "value"].indexOf(map);
  if (host.family === "bert" || which < 0) return tensor;
  const [out = 0, width = 1] = tensor.shape;
  const third = out / 3;
  const data = tensor.data.slice(which * third * width, (which + 1) * third * width);
  return { shape: tensor.shape.length === 1 ? [third] : [third, width], data };
}

interface LoraCase {
  readonly name: string;
  readonly maps: Readonly<Record<RandomHost["family"], readonly MapName[]>>;
  readonly config: (host: RandomHost) => Config;
  /** Rank and α of a module, where patterns give others. */
  readonly own?: (module: string) => { r: number; alpha: number } | undefined;
}

const R = 3;
const ALPHA = 6;

/** PEFT LoRA: y + s (x Aᵀ Bᵀ + β); DoRA: m/‖W + s B A‖ ⊙ (x Wᵀ + s x Aᵀ Bᵀ) + bias. */
function peftLora({ name, maps, config, own = () => undefined }: LoraCase): Method {
  const settings = (host: { family: RandomHost["family"] }): Config => config(host as RandomHost);
  const of = (module: string): { r: number; alpha: number } => own(module) ?? { r: R, alpha: ALPHA };
  return {
    name,
    families: both,
    files: (host, draw) => {
      const tensors = new TensorList(draw);
      const given = settings(host);
      for (const layer of layersOf(host)) {
        for (const map of maps[host.family]) {
          const module = moduleOf(host.family, layer, map);
          const path = `base_model.model.${module}.`;
          const from = map === "down" ? host.ffn : host.width;
          const out = map === "up" ? host.ffn : module.endsWith("c_attn") ? 3 * host.width : host.width;
          const { r } = of(module);
          tensors
            .add(`${path}lora_A.weight`, [r, from], 1 / Math.sqrt(from))
            .add(`${path}lora_B.weight`, [out, r], 0.3);
          if (given["lora_bias"] === true) tensors.add(`${path}lora_B.bias`, [out], 0.3);
          if (given["use_dora"] === true) tensors.add(`${path}lora_magnitude_vector`, [out], 0.2, 1.2);
        }
      }
      const fields = { peft_type: "LORA", r: R, lora_alpha: ALPHA, fan_in_fan_out: host.family === "gpt2", ...given };
      return { "adapter_config.json": JSON.stringify(fields), [WEIGHTS]: tensors.write() };
    },
    input: folder,
    run: (host, files, ids) => {
      const tensors = tensorsOf(files);
      const given = settings(host);
      return forward(host, ids, {
        ...bare,
        linear: (layer, map, x, y) => {
          const module = moduleOf(host.family, layer, map);
          const find = (tail: string): Tensor | undefined => tensors.get(`base_model.model.${module}.${tail}`);
          const [a, whole] = [find("lora_A.weight"), find("lora_B.weight")];
          if (a === undefined || whole === undefined) return y;
          const b = rowsFor(host, map, whole);
          const { r, alpha } = of(module);
          const s = alpha / (given["use_rslora"] === true ? Math.sqrt(r) : r);
          const extra = find("lora_B.bias");
          const made = scale(linear(linear(x, a), b, extra && rowsFor(host, map, extra)), s);
          const magnitude = find("lora_magnitude_vector");
          if (magnitude === undefined) return add(y, made);
          const { weight, bias } = need(host.maps.get(`${layer}.${map}`), map);
          const factors = dora(weight, product(b, a), s, rowsFor(host, map, magnitude));
          const scaled = scaleColumns(add(linear(x, weight), made), factors);
          return scaled.map((row) => row.map((value, i) => value + at(bias.data, i)));
        },
      });
    },
  };
}

function dora(weight: Tensor, delta: Tensor, s: number, magnitude: Tensor): Float64Array {
  const [out = 0, width = 0] = weight.shape;
  return Float64Array.from({ length: out }, (_, o) => {
    const row = Array.from(
      { length: width },
      (__, i) => at(weight.data, o * width + i) + s * at(delta.data, o * width + i),
    );
    return at(magnitude.data, o) / Math.hypot(...row);
  });
}

const attention = { bert: ["query", "value"], gpt2: ["query"] } as const;
const everything = {
  bert: ["query", "key", "value", "proj", "up", "down"],
  gpt2: ["query", "proj", "up", "down"],
} as const;

/** PEFT IA³: keys and values times l, bias included; the input of the second FFN matrix times l. */
const ia3: Method = {
  name: "PEFT IA3",
  families: ["bert"],
  files: (host, draw) => {
    const tensors = new TensorList(draw);
    for (const layer of layersOf(host)) {
      for (const map of ["key", "value"] as const)
        tensors.add(`base_model.model.${moduleOf("bert", layer, map)}.ia3_l`, [host.width, 1], 0.4, 1);
      tensors.add(`base_model.model.${moduleOf("bert", layer, "down")}.ia3_l`, [1, host.ffn], 0.4, 1);
    }
    const config = {
      peft_type: "IA3",
      target_modules: ["key", "value", "output.dense"],
      feedforward_modules: ["output.dense"],
    };
    return { "adapter_config.json": JSON.stringify(config), [WEIGHTS]: tensors.write() };
  },
  input: folder,
  run: (host, files, ids) => {
    const tensors = tensorsOf(files);
    return forward(host, ids, {
      ...bare,
      linear: (layer, map, x, y) => {
        const vector = tensors.get(`base_model.model.${moduleOf("bert", layer, map)}.ia3_l`);
        if (vector === undefined) return y;
        if (map !== "down") return scaleColumns(y, vector.data);
        const { weight, bias } = need(host.maps.get(`${layer}.${map}`), map);
        return linear(scaleColumns(x, vector.data), weight, bias);
      },
    });
  },
};

const VIRTUAL = 3;

/** PEFT prefix: a row holds keys and values of all layers, block 2j and 2j + 1 those of layer j. */
const prefix: Method = {
  name: "PEFT prefix",
  families: both,
  files: (host, draw) => {
    const tensors = new TensorList(draw).add("prompt_embeddings", [VIRTUAL, 2 * host.layers * host.width], 1);
    const config = {
      peft_type: "PREFIX_TUNING",
      num_virtual_tokens: VIRTUAL,
      token_dim: host.width,
      num_layers: host.layers,
      num_attention_heads: host.heads,
      prefix_projection: true,
    };
    return { "adapter_config.json": JSON.stringify(config), [WEIGHTS]: tensors.write() };
  },
  input: folder,
  run: (host, files, ids) => {
    const { data } = finder(files)("prompt_embeddings");
    const block = (row: number, which: number): Float64Array => {
      const start = (row * 2 * host.layers + which) * host.width;
      return data.slice(start, start + host.width);
    };
    const hooks: Hooks = {
      ...bare,
      prefix: (layer) =>
        Array.from({ length: VIRTUAL }, (_, row) => ({
          key: block(row, 2 * layer),
          value: block(row, 2 * layer + 1),
          logit: 0,
        })),
    };
    return forward(host, ids, hooks);
  },
};

/** PEFT prompt: word vectors in front of the tokens', which take positions, types and the norm like them. */
const prompt: Method = {
  name: "PEFT prompt",
  families: both,
  files: (host, draw) => {
    const tensors = new TensorList(draw).add("prompt_embeddings", [VIRTUAL, host.width], 1);
    const config = { peft_type: "PROMPT_TUNING", num_virtual_tokens: VIRTUAL, token_dim: host.width };
    return { "adapter_config.json": JSON.stringify(config), [WEIGHTS]: tensors.write() };
  },
  input: folder,
  run: (host, files, ids) => {
    const words = host.family === "bert" ? "embeddings.word_embeddings.weight" : "wte.weight";
    const table = host.tensor(words);
    const vectors = finder(files)("prompt_embeddings");
    const count = at(table.shape, 0);
    // The prompt's vectors become words behind the vocabulary.
    const longer: Tensor = {
      shape: [count + VIRTUAL, host.width],
      data: Float64Array.from([...table.data, ...vectors.data]),
    };
    const wider: OracleHost = { ...host, tensor: (name) => (name === words ? longer : host.tensor(name)) };
    return forward(wider, [...Array.from({ length: VIRTUAL }, (_, row) => count + row), ...ids]);
  },
};

/** The second layer's maps, and every down projection, have a rank or an α of their own. */
function patterned(module: string): { r: number; alpha: number } | undefined {
  if (/\.1\.(attention\.self\.query|attn\.c_attn)$/.test(module)) return { r: 1, alpha: ALPHA };
  return /(\d\.output\.dense|mlp\.c_proj)$/.test(module) ? { r: R, alpha: 2 } : undefined;
}

const patterns = ({ family }: RandomHost): Config =>
  family === "bert"
    ? {
        rank_pattern: { "layer.1.attention.self.query": 1 },
        alpha_pattern: Object.fromEntries(inEveryLayer("bert.encoder.layer.", ".output.dense")),
      }
    : {
        rank_pattern: { "h.1.attn.c_attn": 1 },
        alpha_pattern: Object.fromEntries(inEveryLayer("transformer.h.", ".mlp.c_proj")),
      };

function inEveryLayer(before: string, after: string): [string, number][] {
  return [0, 1, 2].map((layer) => [`^${before}${layer}${after}`, 2]);
}

/** All of them. */
export const methods: readonly Method[] = [
  shared,
  houlsby,
  coda,
  peftLora({ name: "PEFT LoRA", maps: attention, config: () => ({}) }),
  peftLora({ name: "PEFT LoRA everywhere, rslora", maps: everything, config: () => ({ use_rslora: true }) }),
  peftLora({ name: "PEFT LoRA with rank and alpha patterns", maps: everything, config: patterns, own: patterned }),
  peftLora({ name: "PEFT LoRA with lora_bias", maps: attention, config: () => ({ lora_bias: true }) }),
  peftLora({ name: "PEFT DoRA", maps: everything, config: () => ({ use_dora: true }) }),
  peftLora({ name: "PEFT DoRA, rslora", maps: attention, config: () => ({ use_dora: true, use_rslora: true }) }),
  ia3,
  prefix,
  prompt,
];
