/** @file A trained vision Transformer of 11 k parameters on MNIST: logits and encoder output of a float64 numpy pass, both files. */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import { readIdxImages } from "../../src/formats/idx.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { RunInput, Tensor } from "../../src/model/types.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { relativeError } from "../model/truth.ts";

const NAME = "mnist-vit-tiny";
const IMAGES = "mnist-t10k";
const LABELS = 10;
const BATCH = 250;
/** Sums of at most 64 terms a few times in a row, with three norms on top: a few 2⁻²⁴ of the largest value. */
const TOLERANCE = 1e-5;
const FRESH = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu" };

describe.skipIf(missing(NAME) || missing(IMAGES))("MNIST ViT", () => {
  const folder = folderFromPath(dataPath(NAME));
  let images: NonNullable<RunInput["images"]>;
  let labels: Uint8Array;
  let logits: Float32Array;
  let encoded: Float32Array;
  const loaded: Model[] = [];

  const load = async (weights: string, config: Record<string, unknown> = {}): Promise<Model> => {
    const model = await loadFolder(await sharedGpu(), folder, { weights, config: { model_type: "vit", ...config } });
    loaded.push(model);
    return model;
  };

  beforeAll(() => {
    const unpacked = (name: string): Uint8Array => gunzipSync(readFileSync(dataPath(`${IMAGES}/${name}`)));
    const { images: pixels, shape } = readIdxImages(unpacked("t10k-images-idx3-ubyte.gz"));
    images = pixels.map((data) => ({ data, shape }));
    // The header of the labels: a type, one axis and its length.
    labels = unpacked("t10k-labels-idx1-ubyte.gz").subarray(8);
    const { tensors } = readSafetensors(readFileSync(dataPath(`${NAME}/numpy_reference.safetensors`)), "numpy");
    const [all, first] = ["logits_t10k", "encoder_output_first8"].map((name) => tensors.get(name));
    logits = toFloat32(all as NonNullable<typeof all>);
    encoded = toFloat32(first as NonNullable<typeof first>);
  });
  afterAll(async () => {
    for (const model of loaded) await model.dispose();
  });

  /** What the host reads, from the definition of its input: no code of the engine. */
  const patches = (index: number): { data: Float32Array; shape: readonly number[] } => {
    const pixels = images[index]?.data as Uint8Array;
    const data = Float32Array.from({ length: 16 * 49 }, (_, i) => {
      const [patch, at] = [Math.floor(i / 49), i % 49];
      const row = 7 * Math.floor(patch / 4) + Math.floor(at / 7);
      const column = 7 * (patch % 4) + (at % 7);
      return ((pixels[28 * row + column] as number) / 255 - 0.1307) / 0.3081;
    });
    return { data, shape: [16, 49] };
  };

  test("logits of all 10,000 images, 83.97 % of them right", async () => {
    const model = await load("model.safetensors");
    expect(model.host.head).toMatchObject({ rows: "sequence", labels: LABELS });
    let right = 0;
    for (let from = 0; from < images.length; from += BATCH) {
      const { heads } = await model.run({ images: images.slice(from, from + BATCH) }, { outputs: ["heads"] });
      const { data, shape } = heads.default as Tensor;
      expect(shape).toEqual([BATCH, LABELS]);
      const expected = logits.subarray(from * LABELS, (from + BATCH) * LABELS);
      expect(relativeError(data, expected)).toBeLessThan(TOLERANCE);
      for (let i = 0; i < BATCH; i += 1) {
        const own = data.subarray(i * LABELS, (i + 1) * LABELS);
        if (own.indexOf(Math.max(...own)) === labels[from + i]) right += 1;
      }
    }
    expect(images).toHaveLength(10000);
    expect(right).toBe(8397);
  }, 300_000);

  test("features in place of images, from the other file: the same logits and hidden states", async () => {
    const model = await load("mnist_vit.pth");
    for (let from = 0; from < 1000; from += BATCH) {
      const features = Array.from({ length: BATCH }, (_, i) => patches(from + i));
      const { heads } = await model.run({ features }, { outputs: ["heads"] });
      const expected = logits.subarray(from * LABELS, (from + BATCH) * LABELS);
      expect(relativeError((heads.default as Tensor).data, expected)).toBeLessThan(TOLERANCE);
    }
    const capture = ["embeddings", "layers.0.output", "hidden"];
    const byImage = await model.run({ images: images.slice(0, 8) }, { capture });
    const byFeature = await model.run({ features: images.slice(0, 8).map((_, i) => patches(i)) }, { capture });
    for (const name of capture)
      expect(
        relativeError((byImage.captures[name] as Tensor).data, (byFeature.captures[name] as Tensor).data),
      ).toBeLessThan(TOLERANCE);
    expect(byImage.hidden?.shape).toEqual([8 * 16, 32]);
    // The reference stops before the final norm.
    expect(relativeError((byImage.captures["layers.0.output"] as Tensor).data, encoded)).toBeLessThan(TOLERANCE);
  });

  test("what the tensors tell, and what the configuration says, must agree", async () => {
    const model = await load("model.safetensors");
    expect(model.host.shape).toMatchObject({
      width: 32,
      layers: 1,
      heads: 1,
      ffnWidth: 64,
      normPosition: "post",
      maxTokens: 16,
      input: { channels: 1, height: 28, width: 28, patch: [7, 7], patches: 16, featureWidth: 49, classToken: false },
    });
    expect(model.host.shape.input).toMatchObject({ mean: [0.1307], std: [0.3081] });
    expect(model.report).toMatchObject({ matched: 19, ignored: [] });
    const said = {
      hidden_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 1,
      intermediate_size: 64,
      hidden_act: "gelu",
      layer_norm_eps: 1e-5,
      image_size: [28, 28],
      patch_size: 7,
      num_channels: 1,
      qkv_bias: true,
      num_labels: 10,
      image_mean: 0.1307,
      image_std: [0.3081],
      class_token: false,
      norm_position: "post",
    };
    const told = await load("model.safetensors", said);
    expect(told.host.shape).toEqual(model.host.shape);
    const run = async (which: Model): Promise<Float32Array> =>
      ((await which.run({ images: images.slice(0, 3) })).heads.default as Tensor).data;
    expect(await run(told)).toEqual(await run(model));
  });

  test.each([
    [{ hidden_size: 64 }, "BAD_WEIGHTS", /wrong shape: patch_embed.proj.weight is \[32, 49\], expected \[64, 49\]/],
    [{ num_hidden_layers: 2 }, "BAD_WEIGHTS", /missing: encoder.1.attn.in_proj_weight \[96, 32\]/],
    [
      { intermediate_size: 32 },
      "BAD_WEIGHTS",
      /wrong shape: encoder.0.ffn.fc1.weight is \[64, 32\], expected \[32, 32\]/,
    ],
    [{ num_attention_heads: 3 }, "UNSUPPORTED", /head width of 32 \/ 3/],
    [{ image_size: 35 }, "BAD_WEIGHTS", /wrong shape: pos_embed is \[1, 16, 32\], expected \[1, 25, 32\]/],
    [{ image_size: 30 }, "BAD_CONFIG", /image_size 30 by 30 is no multiple of patch_size 7 by 7/],
    [{ patch_size: 14 }, "BAD_WEIGHTS", /wrong shape: patch_embed.proj.weight is \[32, 49\], expected \[32, 196\]/],
    [{ num_channels: 3 }, "BAD_CONFIG", /patch_size is missing, and patch_embed.proj.weight over 3 channels/],
    [{ num_channels: 3, patch_size: 7 }, "BAD_WEIGHTS", /expected \[32, 147\]/],
    [{ qkv_bias: false }, "BAD_WEIGHTS", /unexpected: encoder.0.attn.in_proj_bias \[96\]/],
    [{ num_labels: 12 }, "BAD_WEIGHTS", /wrong shape: classifier.weight is \[10, 32\], expected \[12, 32\]/],
    [{ class_token: true }, "UNSUPPORTED", /class_token = true/],
    [{ norm_position: "pre" }, "UNSUPPORTED", /norm_position = "pre"/],
    [
      { image_mean: [0.5, 0.5, 0.5] },
      "BAD_CONFIG",
      /image_mean is \[0.5,0.5,0.5\], expected a number for each of the 1 channels/,
    ],
    [{ image_std: 0 }, "BAD_CONFIG", /image_std is/],
    [{ rescale_factor: 1 }, "UNSUPPORTED", /rescale_factor = 1/],
  ])("%j is refused", async (config, code, message) => {
    const error: unknown = await load("model.safetensors", config).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EngineError);
    expect((error as EngineError).message).toMatch(message);
    expect((error as EngineError).code).toBe(code);
  });

  test("adapters warm up on this layout, and change what it says", async () => {
    const model = await load("model.safetensors");
    await model.addAdapter("fresh", { config: { ...FRESH, init_weights: "bert", init_weights_seed: 3, scaling: 20 } });
    await model.warmup(["fresh"]);
    const run = async (): Promise<Float32Array> =>
      ((await model.run({ images: images.slice(0, 4) })).heads.default as Tensor).data;
    const bare = await run();
    model.setActive("fresh");
    expect(relativeError(await run(), bare)).toBeGreaterThan(100 * TOLERANCE);
  });

  test("bad images are refused by number, and the model still runs", async () => {
    const model = await load("model.safetensors");
    const good = images[0] as NonNullable<RunInput["images"]>[number];
    const refused = async (input: RunInput, message: RegExp): Promise<void> => {
      const error: unknown = await model.run(input).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(EngineError);
      expect((error as EngineError).code).toBe("BAD_INPUT");
      expect((error as EngineError).message).toMatch(message);
      expect((error as EngineError).fix).not.toBe("");
    };
    const { data, shape } = patches(0);
    await refused(
      { images: [good, { data: new Uint8Array(32 * 32), shape: [1, 32, 32] }] },
      /images\[1\] has shape \[1, 32, 32\]/,
    );
    await refused({ features: [{ data: data.slice(49), shape: [15, 49] }] }, /features\[0\] has 15 patches/);
    await refused({ features: [{ data: new Float32Array(17 * 49), shape: [17, 49] }] }, /features\[0\]/);
    await refused({ features: [{ data, shape: [49, 16] }] }, /features\[0\] has shape \[49, 16\]/);
    await refused({ features: [{ data: data.map((v, i) => (i === 5 ? NaN : v)), shape }] }, /not finite/);
    await refused({ audio: [new Float32Array(4)] }, /a vit model does not take audio/);
    await refused({ ids: [[1]] }, /a vit model does not take ids/);
    await refused({ images: [good], features: [{ data, shape }] }, /exactly one of .*images/);
    const empty = await model.run({ images: [] });
    expect(empty.heads.default?.shape).toEqual([0, LABELS]);
    const { heads } = await model.run({ images: [good] });
    expect(relativeError((heads.default as Tensor).data, logits.subarray(0, LABELS))).toBeLessThan(TOLERANCE);
  });
});
