/** @file Unpacking is the inverse of packing, for everything that slots hold copies of; what is computed is told apart. */

import { describe, expect, test } from "vitest";
import { entryOfSlot, slotData } from "../../src/adapters/bank-slots.ts";
import type { AdapterHost } from "../../src/adapters/config/types.ts";
import { defineAdapter, packDefinition } from "../../src/adapters/define.ts";
import type { AdapterDefinition } from "../../src/adapters/define.ts";
import type { BankEntry, PackedAdapter } from "../../src/adapters/packed.ts";
import { isBottleneck } from "../../src/adapters/packed.ts";
import type { AdapterTensor } from "../../src/adapters/tensors.ts";
import { derivationOf } from "../../src/adapters/derivation.ts";
import { slotParts } from "../../src/adapters/unpack-parts.ts";
import type { SlotPart } from "../../src/adapters/unpack-parts.ts";
import { sourcesOf, unpack } from "../../src/adapters/unpack.ts";
import type { EntrySources } from "../../src/adapters/unpack.ts";
import { normal } from "../../src/random.ts";
import { lively } from "../model/lively.ts";

const host: AdapterHost = { layers: 3, width: 16, heads: 2, headWidth: 8, ffnWidth: 24, normPosition: "post" };

/** Room that slots have beyond what an adapter needs. */
const SPARE = 3;

function defined(config: string | Record<string, unknown>): AdapterDefinition {
  const { tensors } = lively(host, config, 3);
  return defineAdapter({ format: "hub", config, tensors: new Map(Object.entries(tensors)), where: "a" }, host);
}

function roomOf(entry: BankEntry): number {
  if (isBottleneck(entry)) return entry.width + SPARE;
  return entry.table.kind === "rows" ? entry.data.length / entry.table.width + SPARE : 1;
}

/** The elements of a slot, as the bank writes them. */
function slotOf(entry: BankEntry): Float32Array {
  if (isBottleneck(entry)) return slotData(entry, roomOf(entry));
  const data = new Float32Array(entry.table.kind === "rows" ? roomOf(entry) * entry.table.width : entry.data.length);
  data.set(entry.data);
  return data;
}

function slotsOf(packed: PackedAdapter): Map<string, { data: Float32Array; room: number }> {
  return new Map(packed.entries.map((entry) => [entry.table.name, { data: slotOf(entry), room: roomOf(entry) }]));
}

function partsOf(definition: AdapterDefinition): { entry: BankEntry; parts: SlotPart[] }[] {
  const { entries } = sourcesOf("a", definition, host);
  return packDefinition(definition, host).entries.map((entry) => ({
    entry,
    parts: slotParts(entry, entries.get(entry.table.name) as EntrySources, roomOf(entry)),
  }));
}

/** Numbers of the elements that are trained. */
function trained(parts: readonly SlotPart[]): number[] {
  return parts.flatMap(({ from, elements, mask }) =>
    Array.from({ length: elements }, (_, index) => index).flatMap((index) =>
      mask?.[index] === 0 ? [] : [from + index],
    ),
  );
}

const everywhere = {
  selfattn_lora: true,
  intermediate_lora: true,
  output_lora: true,
  attn_matrices: ["q", "k", "v", "o"],
};
const bottleneck = { mh_adapter: true, output_adapter: true, reduction_factor: 3, non_linearity: "relu" };

const methods: [string, string | Record<string, unknown>][] = [
  ["pfeiffer", "seq_bn"],
  ["houlsby", "double_seq_bn"],
  ["parallel with a scale", { ...bottleneck, mh_adapter: false, is_parallel: true, scaling: 4 }],
  ["a norm after", { ...bottleneck, ln_after: true }],
  ["a gate", { ...bottleneck, use_gating: true }],
  ["invertible", "seq_bn_inv"],
  ["layers that share", { ...bottleneck, cross_layer_sharing: true }],
  [
    "around layers",
    { mh_adapter: false, output_adapter: false, layer_adapter: true, reduction_factor: 2, non_linearity: "relu" },
  ],
  ["LoRA", "lora"],
  ["LoRA whose scale is no power of two", { architecture: "lora", r: 3, alpha: 7, ...everywhere }],
  ["gated LoRA", { architecture: "lora", r: 2, alpha: 4, attn_matrices: ["q", "v"], use_gating: true }],
  ["IA³", "ia3"],
  [
    "gated IA³",
    {
      architecture: "lora",
      composition_mode: "scale",
      r: 1,
      alpha: 3,
      use_gating: true,
      init_weights: "ia3",
      attn_matrices: ["k"],
    },
  ],
  ["flat prefix", "prefix_tuning_flat"],
  [
    "flat prefix that leaves a layer out, with gates",
    { architecture: "prefix_tuning", flat: true, prefix_length: 4, leave_out: [1], use_gating: true },
  ],
  ["prompt", "prompt_tuning"],
  ["several", { architecture: "union", configs: [{ architecture: "lora", r: 2, alpha: 2 }, bottleneck] }],
];

describe.each(methods)("%s", (_, config) => {
  test("comes back bit for bit, also what was changed in its slots", () => {
    const definition = defined(config);
    const packed = packDefinition(definition, host);
    const sources = sourcesOf("a", definition, host);
    const same = unpack(definition, packed, sources, slotsOf(packed));
    expect(same.tensors).toEqual(definition.tensors);
    expect(same.packed).toEqual(packed);

    // Trained elements of all slots take new values: the tensors are those that would be packed to them.
    const slots = slotsOf(packed);
    packed.entries.forEach((entry, number) => {
      const { data, room } = slots.get(entry.table.name) as { data: Float32Array; room: number };
      const values = normal(number + 1, data.length);
      const parts = slotParts(entry, sources.entries.get(entry.table.name) as EntrySources, room);
      const whole = entryOfSlot(
        entry,
        Float32Array.from(data, () => 1),
        room,
      );
      for (const at of trained(parts)) data[at] = values[at] as number;
      expect(Object.keys(whole)).toEqual(Object.keys(entry));
    });
    const changed = unpack(definition, packed, sources, slots);
    for (const [name, { data }] of changed.tensors)
      expect(
        data.every((value, index) => value !== definition.tensors.get(name)?.data[index]),
        name,
      ).toBe(true);
    expect(packDefinition({ ...definition, tensors: changed.tensors }, host)).toEqual(changed.packed);
  });

  test("trains as many elements as its tensors have, and no other of its active units", () => {
    const definition = defined(config);
    const count = [...definition.tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
    let found = 0;
    for (const { entry, parts } of partsOf(definition)) {
      const data = slotOf(entry);
      // Elements behind the active units or rows are left in, for nothing ever gives them a gradient.
      const marked = isBottleneck(entry)
        ? slotData(
            {
              ...entry,
              down: ones(entry.down),
              up: ones(entry.up),
              downBias: ones(entry.downBias),
              upBias: ones(entry.upBias),
            },
            roomOf(entry),
          )
        : Float32Array.from(data, (__, index) => (index < entry.data.length ? 1 : 0));
      found += trained(parts).filter((at) => marked[at] === 1).length;
    }
    expect(found).toBe(count);
  });
});

function ones(data: Float32Array): Float32Array {
  return data.map(() => 1);
}

describe("what is left out", () => {
  test("biases of a LoRA, and the blocks of B between one map and another's ranks", () => {
    const [first] = partsOf(defined({ architecture: "lora", r: 2, alpha: 4, attn_matrices: ["q", "v"] }));
    const { parts } = first as { parts: SlotPart[] };
    const room = 4 + SPARE;
    expect(parts.map(({ from, elements, decays }) => [from, elements, decays])).toEqual([
      [0, room * 16, true],
      [room * 16, room * 48, true],
    ]);
    const { mask } = parts[1] as SlotPart;
    const counts = (row: number): number[] => Array.from(mask?.subarray(row * room, row * room + 4) ?? []);
    expect(counts(0)).toEqual([1, 1, 0, 0]);
    expect(counts(20)).toEqual([0, 0, 0, 0]);
    expect(counts(47)).toEqual([0, 0, 1, 1]);
  });

  test("a bottleneck trains matrices that decay and biases that do not, whole", () => {
    const [first] = partsOf(defined(bottleneck));
    const { entry, parts } = first as { entry: BankEntry; parts: SlotPart[] };
    const room = roomOf(entry);
    expect(parts).toEqual([
      { from: 0, elements: 32 * room, decays: true, mask: null },
      { from: 32 * room, elements: room + 16, decays: false, mask: null },
    ]);
  });
});

describe("what is no copy is refused by its tensor, unless it is told apart", () => {
  test.each<[string, RegExp, string | Record<string, unknown>]>([
    ["a Compacter", /W_left|phm_rule/, { ...bottleneck, phm_layer: true, phm_dim: 2, reduction_factor: 4 }],
    ["a norm before", /adapter_down|adapter_norm_before/, { ...bottleneck, ln_before: true }],
    ["a learned scaling", /adapter_up|scaling/, { ...bottleneck, scaling: "learned" }],
    ["a scaling per channel", /adapter_up|scaling/, { ...bottleneck, scaling: "channel" }],
    ["VeRA", /vera_|lora_/, "vera"],
    [
      "IA³ with a factor",
      /lora_B/,
      { architecture: "lora", composition_mode: "scale", r: 1, alpha: 1.5, init_weights: "ia3" },
    ],
    ["a reparametrised prefix", /^prefix\./, "prefix_tuning"],
  ])("%s", (_, tensor, config) => {
    const definition = defined(config);
    const refused = expect.objectContaining({ code: "UNSUPPORTED", where: expect.stringMatching(tensor) as string });
    expect(() => sourcesOf("mine", definition, host)).toThrow(refused);
    const room = (): number => 64;
    const derivation = derivationOf(definition, { host, room, frozen: undefined });
    const apart = new Set([...(derivation?.sources.values() ?? [])].flatMap(({ tensor: one }) => one ?? []));
    expect(apart.size).toBeGreaterThan(0);
    const { entries } = sourcesOf("mine", definition, host, { apart });
    expect([...entries.keys()]).toEqual(packDefinition(definition, host).entries.map(({ table }) => table.name));
  });

  test("scales that differ among the maps of one product, of PEFT", () => {
    const tensor = (shape: number[]): AdapterTensor => ({
      shape,
      data: normal(1, (shape[0] as number) * (shape[1] as number)),
    });
    const peft = (scale: number): AdapterDefinition =>
      defineAdapter(
        {
          format: "peft",
          where: "p",
          config: {
            peft_type: "LORA",
            modules: { "layers.0.query": { scaling: 2 }, "layers.0.value": { scaling: scale } },
          },
          tensors: new Map([
            ["layers.0.query.lora_A", tensor([2, 16])],
            ["layers.0.query.lora_B", tensor([16, 2])],
            ["layers.0.value.lora_A", tensor([2, 16])],
            ["layers.0.value.lora_B", tensor([16, 2])],
          ]),
        },
        host,
      );
    const derived = (scale: number): string[] => [
      ...(derivationOf(peft(scale), { host, room: () => 8, frozen: undefined })?.sources.keys() ?? []),
    ];
    expect(sourcesOf("p", peft(2), host).entries.size).toBe(1);
    expect(derived(2)).toEqual([]);
    expect(() => sourcesOf("p", peft(3), host)).toThrow("lora_B is not kept as it is");
    expect(derived(3)).toEqual(["layers.0.query.lora_B", "layers.0.value.lora_B"]);
  });
});
