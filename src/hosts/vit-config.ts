/**
 * @file The configuration of a vision Transformer: fields of Hugging Face, and of the plain layout (a post-LN encoder without a class
 * token whose attention packs queries, keys and values) everything that its tensors tell by themselves.
 */

import { EngineError } from "../errors.ts";
import { activationField, hasArchitecture, headWidthOf, only, positive, positiveNumber } from "./config.ts";
import type { Config } from "./config.ts";
import type { HostInput, HostShape, HostSource } from "./host.ts";

/** Where a checkpoint keeps its tensors and in which order its layers work. */
export type VitLayout = "hugging-face" | "plain";

/** What {@link vit} is built from. */
export interface VitSettings {
  readonly layout: VitLayout;
  readonly shape: HostShape;
  readonly image: ImageInput;
  readonly eps: number;
  readonly activation: ReturnType<typeof activationField>;
  readonly qkvBias: boolean;
  /** 0 without a classifier. */
  readonly labels: number;
}

type ImageInput = Extract<HostInput, { kind: "image" }>;
type Shapes = NonNullable<HostSource["shapes"]>;

/** The tensor that only the plain layout has. */
const PLAIN_PATCH = "patch_embed.proj.weight";

function refuse(field: string, message: string, fix: string): never {
  throw new EngineError("BAD_CONFIG", `config.json: ${message}`, { where: field, fix });
}

/** Fields that the tensors of the plain layout stand in for; what the configuration says goes first and is checked on loading. */
function derived(config: Config, shapes: Shapes): Config {
  const [width, values = 0] = shapes.get(PLAIN_PATCH) ?? [];
  const [, positions = 0] = shapes.get("pos_embed") ?? [];
  const channels = positive(config, "num_channels", 1);
  const patch =
    config.patch_size ?? squareSide("patch_size", values / channels, `${PLAIN_PATCH} over ${channels} channels`);
  const layers = [...shapes.keys()].filter((name) => /^encoder\.\d+\.norm1\.weight$/.test(name));
  const known = {
    hidden_size: width,
    num_hidden_layers: layers.length,
    num_attention_heads: 1,
    intermediate_size: shapes.get("encoder.0.ffn.fc1.weight")?.[0],
    layer_norm_eps: 1e-5,
    num_channels: channels,
    patch_size: patch,
    image_size: config.image_size ?? imageSize(patch, positions),
    qkv_bias: shapes.has("encoder.0.attn.in_proj_bias"),
  };
  return { ...known, ...definite(config) };
}

/** Side of a square of so many pixels or patches. */
function squareSide(field: string, count: number, what: string): number {
  const side = Math.sqrt(count);
  if (Number.isInteger(side) && side > 0) return side;
  return refuse(
    field,
    `${field} is missing, and ${what} makes ${count}, which is no square`,
    `give ${field} as [height, width]`,
  );
}

/** Height and width of an image whose patches stand in a square. */
function imageSize(patch: unknown, positions: number): readonly number[] {
  const count = squareSide("image_size", positions, "the number of positions");
  return (Array.isArray(patch) ? patch : [patch, patch]).map((side) => Number(side) * count);
}

/** Fields that say something: null stands for the default. */
function definite(config: Config): Config {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined && value !== null));
}

/** Height and width, given as one number or as two. */
function sides(config: Config, field: string): readonly [number, number] {
  const value = config[field];
  if (!Array.isArray(value)) {
    const side = positive(config, field);
    return [side, side];
  }
  if (value.length === 2) {
    const [height, width] = value.map((side: unknown) => positive({ [field]: side }, field));
    return [height as number, width as number];
  }
  return refuse(
    field,
    `${field} is ${JSON.stringify(value)}, expected one number or two`,
    `give ${field} as [height, width]`,
  );
}

/** One finite number per channel, or one for all of them. */
function perChannel(config: Config, field: string, channels: number, fallback: number): readonly number[] {
  const value = config[field] ?? fallback;
  const list: unknown[] = Array.isArray(value) ? value : Array.from({ length: channels }, () => value);
  const good = list.every((item) => typeof item === "number" && Number.isFinite(item));
  if (good && list.length === channels) return list as number[];
  const expected = `a number for each of the ${channels} channels`;
  return refuse(field, `${field} is ${JSON.stringify(value)}, expected ${expected}`, `give ${expected}`);
}

/** Mean 0 and deviation 1 where the processor leaves pixels in [0, 1]. */
function normalisation(config: Config, channels: number, layout: VitLayout): Pick<ImageInput, "mean" | "std"> {
  only(config, "do_rescale", true);
  const factor = positiveNumber(config, "rescale_factor", 1 / 255);
  // Files carry the factor with 16 or 17 digits.
  if (Math.abs(factor * 255 - 1) > 1e-12) only(config, "rescale_factor", 1 / 255);
  const plain = layout === "plain";
  const off = config.do_normalize === false;
  const mean = perChannel(off ? {} : config, "image_mean", channels, off ? 0 : plain ? 0.1307 : 0.5);
  const std = perChannel(off ? {} : config, "image_std", channels, off ? 1 : plain ? 0.3081 : 0.5);
  if (std.some((value) => value <= 0))
    refuse("image_std", `image_std is ${JSON.stringify(std)}`, "give deviations above 0");
  return { mean, std };
}

function imageInput(config: Config, layout: VitLayout): ImageInput {
  const channels = positive(config, "num_channels");
  const [height, width] = sides(config, "image_size");
  const patch = sides(config, "patch_size");
  if (height % patch[0] !== 0 || width % patch[1] !== 0) {
    const message = `image_size ${height} by ${width} is no multiple of patch_size ${patch[0]} by ${patch[1]}`;
    refuse("image_size", message, "give sizes that divide: patches do not overlap and leave nothing out");
  }
  return {
    kind: "image",
    channels,
    height,
    width,
    patch,
    patches: (height / patch[0]) * (width / patch[1]),
    featureWidth: channels * patch[0] * patch[1],
    classToken: layout === "hugging-face",
    ...normalisation(config, channels, layout),
  };
}

/** Labels of the classifier: from the configuration, else from its tensor, else the two that Hugging Face falls back to. */
function labelCount({ config, tensors, shapes }: HostSource): number {
  if (!tensors.has("classifier.weight") && !hasArchitecture(config, "ForImageClassification")) return 0;
  const names = config.id2label;
  const named = typeof names === "object" && names !== null ? Object.keys(names).length : undefined;
  return positive(config, "num_labels", named ?? shapes?.get("classifier.weight")?.[0] ?? 2);
}

function shapeOf(config: Config, layout: VitLayout, image: ImageInput): HostShape {
  const width = positive(config, "hidden_size");
  const heads = positive(config, "num_attention_heads");
  return {
    family: "vit",
    width,
    layers: positive(config, "num_hidden_layers"),
    heads,
    headWidth: headWidthOf(width, heads),
    ffnWidth: positive(config, "intermediate_size"),
    normPosition: layout === "plain" ? "post" : "pre",
    causal: false,
    maxTokens: image.patches + (image.classToken ? 1 : 0),
    input: image,
  };
}

/**
 * Reads and checks a configuration. Fields that would change the result in a way that is not built are refused.
 * @throws EngineError BAD_CONFIG, UNSUPPORTED
 */
export function readVitConfig(source: HostSource): VitSettings {
  const layout: VitLayout = source.tensors.has(PLAIN_PATCH) ? "plain" : "hugging-face";
  const plain = layout === "plain";
  const config = plain ? derived(source.config, source.shapes ?? new Map()) : source.config;
  only(config, "norm_position", plain ? "post" : "pre");
  only(config, "class_token", !plain);
  only(config, "is_decoder", false);
  only(config, "pooler_act", "tanh");
  only(config, "pooler_output_size", config.hidden_size);
  if (config.qkv_bias !== false) only(config, "qkv_bias", true);
  const image = imageInput(config, layout);
  return {
    layout,
    shape: shapeOf(config, layout, image),
    image,
    eps: positiveNumber(config, "layer_norm_eps", 1e-12),
    activation: activationField(config, "hidden_act", "gelu"),
    qkvBias: config.qkv_bias !== false,
    labels: labelCount(source),
  };
}
