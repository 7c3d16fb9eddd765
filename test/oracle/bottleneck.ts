/** @file The bottleneck block (MATHS §2.2, §2.3) with every field, Compacter's expansion (§2.8) included. */

import type { Config, Saved } from "./adapter-files.ts";
import { matchMethod } from "./adapter-files.ts";
import type { Norm, OracleHost, Site } from "./host.ts";
import { activate, add, at, gateOf, layerNorm, linear, need, product, scale, scaleColumns, transpose } from "./rows.ts";
import type { Rows, Tensor } from "./rows.ts";

/** PyTorch's default epsilon, which the library's own norms keep. */
const OWN_EPSILON = 1e-5;

/** One bottleneck of one layer and site. */
export interface Bottleneck {
  readonly parallel: boolean;
  /** Whether the host's add and norm follow. */
  readonly originalLnAfter: boolean;
  /** Input and skip of the block from the sub-layer's output and the residual stream; a parallel block reads the stream. */
  before(f: Rows, h: Rows, norm: Norm): { readonly x: Rows; readonly res: Rows };
  /** `v`: the scaled up-output, which fusion mixes. */
  up(x: Rows): Rows;
  /** The block's output from `v`: gate, skip and own norm. A parallel block has no skip. */
  finish(v: Rows, x: Rows, res: Rows): Rows;
}

/** Where the library keeps the bottlenecks and fusions of a site. */
export function sitePath(host: OracleHost, layer: number, site: Site): string {
  if (host.family === "gpt2") return `h.${layer}.${site === "attention" ? "attention_adapters" : "output_adapters"}`;
  return `encoder.layer.${layer}.${site === "attention" ? "attention.output" : "output"}`;
}

/** The bottleneck that an adapter has at a site, if any. */
export function readBottleneck(host: OracleHost, saved: Saved, layer: number, site: Site): Bottleneck | undefined {
  const path = `${sitePath(host, layer, site)}.adapters.${saved.name}.`;
  if (!saved.has(path)) return undefined;
  const flag = site === "attention" ? "mh_adapter" : "output_adapter";
  const config = need(matchMethod(saved, null, layer, flag), `a bottleneck configuration of ${saved.name}`);
  const get = (tail: string): Tensor => saved.get(path + tail);
  const find = (tail: string): Tensor | undefined => saved.find(path + tail);
  const parallel = config["is_parallel"] === true;
  const down = projection(saved, config, path, config["ln_before"] === true ? "adapter_down.1." : "adapter_down.0.");
  const upward = projection(saved, config, path, "adapter_up.");
  const lnAfter = (o: Rows): Rows =>
    config["ln_after"] === true
      ? layerNorm(o, get("adapter_norm_after.weight"), get("adapter_norm_after.bias"), OWN_EPSILON)
      : o;
  return {
    parallel,
    originalLnAfter: config["original_ln_after"] === true,
    before: (f, h, norm) => (parallel ? { x: h, res: h } : before(config, f, h, norm)),
    up: (x) => {
      const read =
        config["ln_before"] === true
          ? layerNorm(x, get("adapter_norm_before.weight"), get("adapter_norm_before.bias"), OWN_EPSILON)
          : x;
      const v = upward(activate(down(read), String(config["non_linearity"])));
      const scaling = config["scaling"];
      return typeof scaling === "number" ? scale(v, scaling) : scaleColumns(v, get("scaling").data);
    },
    finish: (v, x, res) => {
      const gate = config["use_gating"] === true ? at(gateOf(x, get("gate.weight"), get("gate.bias")), 0) : 1;
      const o = scale(v, gate);
      if (parallel) return lnAfter(o);
      return config["adapter_residual_before_ln"] === true ? lnAfter(add(o, res)) : add(lnAfter(o), res);
    },
  };

  /** A linear map of the block, or the sum of Kronecker products that stands for it. */
  function projection(source: Saved, method: Config, root: string, tail: string): (x: Rows) => Rows {
    if (method["phm_layer"] !== true) return (x) => linear(x, get(`${tail}weight`), find(`${tail}bias`));
    const weight = phmWeight(source, root, tail, tail === "adapter_up." ? "up" : "down");
    return (x) => linear(x, weight, find(`${tail}b`));
  }
}

/** MATHS §2.3, the table before the adapter. */
function before(config: Config, f: Rows, h: Rows, norm: Norm): { x: Rows; res: Rows } {
  const sum = add(f, h);
  const x = config["original_ln_before"] !== true ? f : norm === undefined ? sum : norm(sum);
  const kind = config["residual_before_ln"];
  if (kind === true) return { x, res: f };
  if (kind !== "post_add") return { x, res: x };
  // The library leaves the skip undefined in the other cases.
  if (norm === undefined || config["original_ln_before"] !== true) throw new Error("oracle: post_add has no skip here");
  return { x, res: sum };
}

/** `(Σ kron(R_i, L_i M_i))ᵀ`, `[out, in]`; every factor private or shared, whole or factorised. */
function phmWeight(saved: Saved, root: string, tail: string, direction: "down" | "up"): Tensor {
  const shared = `shared_parameters.${saved.name}.`;
  const whole = (own: string, common: string): readonly Tensor[] => {
    const plain = saved.find(root + tail + own) ?? saved.find(shared + common);
    if (plain !== undefined) return slices(plain);
    const left = saved.find(`${root}${tail}${own}_left`) ?? saved.get(`${shared}${common}_left`);
    const right = slices(saved.find(`${root}${tail}${own}_right`) ?? saved.get(`${shared}${common}_right`));
    return slices(left).map((l, i) => product(l, need(right[i], "a right factor")));
  };
  const rules = whole("phm_rule", "phm_rule");
  const blocks = whole("W", `W_${direction}`);
  return transpose(rules.map((rule, i) => kronecker(rule, need(blocks[i], "a block"))).reduce(sumOf));
}

function slices({ shape, data }: Tensor): Tensor[] {
  const [count = 0, rows = 0, columns = 0] = shape;
  const size = rows * columns;
  return Array.from({ length: count }, (_, i) => ({
    shape: [rows, columns],
    data: data.slice(i * size, (i + 1) * size),
  }));
}

function sumOf(a: Tensor, b: Tensor): Tensor {
  return { shape: a.shape, data: a.data.map((value, i) => value + at(b.data, i)) };
}

function kronecker(a: Tensor, b: Tensor): Tensor {
  const [ar = 0, ac = 0] = a.shape;
  const [br = 0, bc = 0] = b.shape;
  const data = new Float64Array(ar * ac * br * bc);
  for (let i = 0; i < ar * br; i++) {
    for (let j = 0; j < ac * bc; j++) {
      const left = at(a.data, Math.floor(i / br) * ac + Math.floor(j / bc));
      data[i * ac * bc + j] = left * at(b.data, (i % br) * bc + (j % bc));
    }
  }
  return { shape: [ar * br, ac * bc], data };
}
