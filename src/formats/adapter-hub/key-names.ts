/**
 * @file Keys of AdapterHub weight files and our canonical names, both ways (MATHS §3.1). A key is a module path, a slot
 * (`adapters`, `loras`, …), the adapter's name, and a tail; the name may hold dots and commas, so it is never searched for
 * but compared.
 */

import { families } from "./families.ts";
import type { Family } from "./families.ts";

/** One kind of place that an adapter has tensors in. */
interface Slot {
  /** Path up to the adapter's name; `{i}` is the layer. */
  readonly before: string;
  /** What follows the name in keys and is not part of the canonical tail. */
  readonly infix: string;
  /** Canonical prefix. */
  readonly canonical: string;
  /** Tails that may stand there, without anchors. */
  readonly tails: string;
}

/** What a key turned out to be. */
export type ReadKey =
  | { readonly kind: "tensor"; readonly name: string }
  /** A copy that the library writes of tensors stored elsewhere in the file. */
  | { readonly kind: "copy" }
  | { readonly kind: "other"; readonly adapter: string }
  | { readonly kind: "unknown" };

/** Canonical map name of a fused query-key-value module until it is split. */
export const FUSED = "fused";

const linear = "(?:weight|bias|W_left|W_right|W|b|phm_rule|phm_rule_left|phm_rule_right)";
const norms = "(?:gate|adapter_norm_before|adapter_norm_after)\\.(?:weight|bias)";
const bottleneckTails = `(?:adapter_down\\.[01]\\.${linear}|adapter_up\\.${linear}|scaling|${norms})`;
const loraTails = "(?:lora_A|lora_B|gate\\.weight|gate\\.bias|m\\.weight|vera_D|vera_B)";
const prefixTails = "(?:wte\\.weight|control_trans(?:\\.[02]\\.(?:weight|bias))?)";
const sharedTails = "(?:phm_rule(?:_left|_right)?|W_(?:down|up)_(?:left|right)|lora_A|lora_B)";
const fusionTails = "(?:query|key|value)\\.(?:weight|bias)";

/** Every attention module of the library refers to the pool of prefixes, and torch saves one copy for each. */
const POOL = ".prefix_tuning.pool.prefix_tunings.";

/** Renames of the first versions of the library. */
const legacy: readonly (readonly [RegExp, string])[] = [
  [/\.(?:attention|layer)_text_(?:task|lang)_adapters\./, ".adapters."],
  [/(^|\.)invertible_lang_adapters\./, "$1invertible_adapters."],
];

/** All slots of a family's adapters. */
function adapterSlots(family: Family): Slot[] {
  const paths = families[family];
  const slot = (before: string, canonical: string, tails: string, infix = ""): Slot => ({
    before,
    infix,
    canonical,
    tails,
  });
  const fused = paths.fused === null ? [] : [slot(`${paths.fused}.loras.`, `layers.{i}.${FUSED}.`, loraTails)];
  return [
    slot(`${paths.places.attention}.adapters.`, "layers.{i}.attention.", bottleneckTails),
    slot(`${paths.places.ffn}.adapters.`, "layers.{i}.ffn.", bottleneckTails),
    slot(`${paths.layer}.adapters.`, "layers.{i}.", bottleneckTails),
    // One set of weights for all layers: the library has no such thing, the key is ours.
    slot("shared_adapters.", "shared.", `(?:attention\\.|ffn\\.|layer\\.)${bottleneckTails}`),
    ...paths.maps.map(([map, path]) => slot(`${path}.loras.`, `layers.{i}.${map}.`, loraTails)),
    ...fused,
    slot(`${paths.attention}.prefix_tuning.prefix_gates.`, "layers.{i}.prefix_gate.", "(?:weight|bias)"),
    slot("prefix_tuning.prefix_tunings.", "prefix.", prefixTails, `${paths.prefixLocation}.`),
    slot("prompt_tuning.prompt_tunings.", "prompt.", "weight", "prompt_embedding."),
    slot(`${paths.embedding}invertible_adapters.`, "invertible.", "[FG]\\.[02]\\.(?:weight|bias)"),
    slot("shared_parameters.", "shared_parameters.", sharedTails),
  ];
}

function fusionSlots(family: Family): Slot[] {
  const { places } = families[family];
  return (["attention", "ffn"] as const).map((place) => ({
    before: `${places[place]}.adapter_fusion_layer.`,
    infix: "",
    canonical: `layers.{i}.${place}.`,
    tails: fusionTails,
  }));
}

/** Translates the keys of one family, either of adapters or of fusions. */
export class KeyNames {
  private readonly prefix: string;
  private readonly slots: readonly Slot[];
  private readonly keyPatterns: readonly RegExp[];
  private readonly tailPatterns: readonly RegExp[];
  private readonly strangerPatterns: readonly RegExp[];
  private readonly namePatterns: readonly RegExp[];

  constructor(family: Family, content: "adapter" | "fusion") {
    this.prefix = families[family].prefix;
    this.slots = content === "adapter" ? adapterSlots(family) : fusionSlots(family);
    this.keyPatterns = this.slots.map(({ before }) => new RegExp(`^${pattern(before)}(.+)$`));
    this.tailPatterns = this.slots.map(({ tails }) => new RegExp(`^${tails}$`));
    this.strangerPatterns = this.slots.map(({ infix, tails }) => new RegExp(`^(.+?)\\.${pattern(infix)}${tails}$`));
    this.namePatterns = this.slots.map(({ canonical, tails }) => new RegExp(`^${pattern(canonical)}(${tails})$`));
  }

  /** What a key of a file is, for the adapter (or comma-joined fusion) of this name. */
  read(key: string, adapter: string): ReadKey {
    let path = key.startsWith(this.prefix) ? key.slice(this.prefix.length) : key;
    for (const [old, now] of legacy) path = path.replace(old, now);
    if (path.includes(POOL)) return { kind: "copy" };
    let other: ReadKey = { kind: "unknown" };
    for (const [index, slot] of this.slots.entries()) {
      const match = this.keyPatterns[index]?.exec(path);
      if (!match) continue;
      const { infix, canonical } = slot;
      const rest = match.at(-1) as string;
      const layer = match.length > 2 ? (match[1] as string) : "";
      const before = `${adapter}.${infix}`;
      const tail = rest.startsWith(before) ? rest.slice(before.length) : "";
      if (this.tailPatterns[index]?.test(tail)) {
        return { kind: "tensor", name: fill(canonical, layer) + tail };
      }
      const stranger = this.strangerPatterns[index]?.exec(rest)?.[1];
      if (stranger !== undefined) other = { kind: "other", adapter: stranger };
    }
    return other;
  }

  /**
   * The key of a canonical tensor, with the base model's prefix, or undefined where the family has none.
   * @param accepts chooses among the paths of one map; the first that it accepts is taken.
   */
  write(name: string, adapter: string, accepts: (path: string) => boolean = () => true): string | undefined {
    for (const [index, { before, infix }] of this.slots.entries()) {
      const match = this.namePatterns[index]?.exec(name);
      if (!match || !accepts(before)) continue;
      return (
        this.prefix + fill(before, match.length > 2 ? (match[1] as string) : "") + `${adapter}.${infix}${match.at(-1)}`
      );
    }
    return undefined;
  }
}

/** A path as the source of a regular expression; `{i}` becomes a captured number without leading zeros. */
export function pattern(path: string): string {
  return path.replaceAll(".", "\\.").replace("{i}", "(0|[1-9][0-9]{0,5})");
}

/** A path with its layer filled in. */
export function fill(path: string, layer: string): string {
  return path.replace("{i}", layer);
}
