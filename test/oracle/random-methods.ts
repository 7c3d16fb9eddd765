/** @file Tensors of random prefixes and of LoRA's family. */

import type { Config } from "./adapter-files.ts";
import type { TensorList } from "./random-draw.ts";
import type { RandomHost } from "./random-host.ts";

/** A prefix, the copies in its layers' pools that the library saves with it, and its gates. */
export function prefixTensors(tensors: TensorList, host: RandomHost, name: string, method: Config): void {
  const left = method["leave_out"] as number[];
  const length = Number(method["prefix_length"]);
  const inner = Number(method["bottleneck_size"]);
  const values = 2 * (host.layers - left.length) * host.width;
  const path = `prefix_tuning.prefix_tunings.${name}.self_prefix.`;
  if (method["flat"] === true) {
    tensors.add(`${path}control_trans`, [length * values], 1);
  } else {
    tensors.add(`${path}wte.weight`, [length, host.width], 1);
    tensors.linear(`${path}control_trans.0`, inner, host.width).linear(`${path}control_trans.2`, values, inner);
  }
  for (let layer = 0; layer < host.layers; layer++) {
    const attention = host.family === "bert" ? `encoder.layer.${layer}.attention.self` : `h.${layer}.attn`;
    tensors.copy(path, `${attention}.prefix_tuning.pool.${path.slice("prefix_tuning.".length)}`);
    if (method["use_gating"] !== true || left.includes(layer)) continue;
    const outputs = method["shared_gating"] === true ? 1 : 2;
    tensors.linear(`${attention}.prefix_tuning.prefix_gates.${name}`, outputs, host.width);
  }
}

/** One adapted map: its path, its widths, and how many maps are fused in it. */
interface Target {
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly groups: number;
}

function targets(host: RandomHost, method: Config, layer: number): Target[] {
  const { width, ffn, family } = host;
  const matrices = method["selfattn_lora"] === true ? (method["attn_matrices"] as string[]) : [];
  const attention: Target[] =
    family === "bert"
      ? matrices.map((letter) => ({
          path: `encoder.layer.${layer}.attention.self.${{ q: "query", k: "key", v: "value" }[letter]}`,
          from: width,
          to: width,
          groups: 1,
        }))
      : matrices.length === 0
        ? []
        : [{ path: `h.${layer}.attn.c_attn`, from: width, to: width, groups: matrices.length }];
  const up = family === "bert" ? `encoder.layer.${layer}.intermediate.dense` : `h.${layer}.mlp.c_fc`;
  const down = family === "bert" ? `encoder.layer.${layer}.output.dense` : `h.${layer}.mlp.c_proj`;
  return [
    ...attention,
    ...(method["intermediate_lora"] === true ? [{ path: up, from: width, to: ffn, groups: 1 }] : []),
    ...(method["output_lora"] === true ? [{ path: down, from: ffn, to: width, groups: 1 }] : []),
  ];
}

/** LoRA, IA³, DoRA, VeRA: what each adapted map has. */
export function linearTensors(tensors: TensorList, host: RandomHost, name: string, method: Config): void {
  const rank = Number(method["r"]);
  const vera = method["vera_d"] !== null;
  if (vera) {
    const shared = `shared_parameters.${name}.`;
    tensors.add(`${shared}lora_A`, [rank, host.width], 0.3).add(`${shared}lora_B`, [host.width, rank], 0.3);
  }
  for (let layer = 0; layer < host.layers; layer++) {
    if ((method["leave_out"] as number[]).includes(layer)) continue;
    for (const { path, from, to, groups } of targets(host, method, layer)) {
      const own = `${path}.loras.${name}.`;
      if (method["composition_mode"] === "scale") {
        tensors.add(`${own}lora_B`, [to * groups, 1], 0.4, 1);
      } else if (vera) {
        tensors.add(`${own}vera_D`, [rank, rank], 0.5).add(`${own}vera_B`, [to, to], 0.2);
      } else {
        tensors
          .add(`${own}lora_A`, [rank * groups, from], 1 / Math.sqrt(from))
          .add(`${own}lora_B`, [to * groups, rank], 0.3);
      }
      if (method["use_dora"] === true) tensors.add(`${own}m.weight`, [to, 1], 0.2, 1.2);
      if (method["use_gating"] === true) tensors.linear(`${own}gate`, groups, from);
    }
  }
}
