/** @file Configurations of ViT: how pixels are normalised, and what is refused because it would change the result. */

import { afterAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { Tensor } from "../../src/model/types.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { relativeError } from "../model/truth.ts";
import { FLOATS, IMAGES, PlainVit, plainCheckpoint, plainFolder } from "./vit-plain.ts";

/** One convolution of 36 terms in f32, and a sum. */
const TOLERANCE = 1e-5;

const loaded: Model[] = [];

async function load(...folder: Parameters<typeof plainFolder>): Promise<Model> {
  const model = await loadFolder(await sharedGpu(), plainFolder(...folder));
  loaded.push(model);
  return model;
}

afterAll(async () => {
  for (const model of loaded) await model.dispose();
});

describe("pixels", () => {
  const normalised = (mean: readonly number[], std: readonly number[]): number[] =>
    Array.from(FLOATS, (v, i) => (v - (mean[Math.floor(i / 96)] as number)) / (std[Math.floor(i / 96)] as number));
  const embeddings = async (model: Model): Promise<Float32Array> => {
    const out = await model.run({ images: IMAGES.slice(1) }, { capture: ["embeddings"], outputs: [] });
    return (out.captures.embeddings as Tensor).data;
  };
  const MEAN = [0.1, 0.4, 0.7];
  const STD = [0.2, 0.3, 0.5];
  const FILE = {
    image_mean: MEAN,
    image_std: STD,
    do_resize: true,
    size: { height: 8, width: 12 },
    rescale_factor: 0.00392156862745098,
  };

  test.each([
    ["preprocessor_config.json", {}, FILE, normalised(MEAN, STD)],
    ["the configuration before that file", { image_mean: 0.25 }, FILE, normalised([0.25, 0.25, 0.25], STD)],
    ["do_normalize: false", {}, { ...FILE, do_normalize: false }, Array.from(FLOATS)],
  ])("are normalised by %s", async (_, extra, file, pixels) => {
    const tensors = plainCheckpoint();
    const model = await load(tensors, extra, { "preprocessor_config.json": JSON.stringify(file) });
    const expected = new PlainVit(tensors).embed(pixels);
    expect(relativeError(await embeddings(model), expected.flat())).toBeLessThan(TOLERANCE);
  });

  test.each([
    [{ image_mean: [0.5, 0.5] }, "BAD_CONFIG", /image_mean is \[0.5,0.5\]/],
    [{ image_std: [0.5, -1, 0.5] }, "BAD_CONFIG", /image_std is/],
    [{ image_mean: ["a", 0, 0] }, "BAD_CONFIG", /image_mean is/],
    [{ do_rescale: false }, "UNSUPPORTED", /do_rescale = false/],
    [{ rescale_factor: 1 / 127.5 }, "UNSUPPORTED", /rescale_factor/],
  ])("%j is refused", async (file, code, message) => {
    const error: unknown = await load(
      plainCheckpoint(),
      {},
      { "preprocessor_config.json": JSON.stringify(file) },
    ).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EngineError);
    expect((error as EngineError).code).toBe(code);
    expect((error as EngineError).message).toMatch(message);
  });
});

describe("configurations that change the result are refused", () => {
  test.each([
    [{ pooler_act: "relu" }, "UNSUPPORTED", /pooler_act/],
    [{ pooler_output_size: 12 }, "UNSUPPORTED", /pooler_output_size/],
    [{ norm_position: "post" }, "UNSUPPORTED", /norm_position/],
    [{ class_token: false }, "UNSUPPORTED", /class_token/],
    [{ qkv_bias: "yes" }, "UNSUPPORTED", /qkv_bias/],
    [{ hidden_act: "mish" }, "BAD_CONFIG", /hidden_act/],
    [{ patch_size: 5 }, "BAD_CONFIG", /no multiple of patch_size 5 by 5/],
    [{ patch_size: [4, 3, 1] }, "BAD_CONFIG", /patch_size is \[4,3,1\]/],
    [{ num_channels: undefined }, "BAD_CONFIG", /num_channels is missing/],
    [{ image_size: 12 }, "BAD_WEIGHTS", /position_embeddings is \[1, 9, 24\], expected \[1, 13, 24\]/],
    [{ num_labels: 7 }, "BAD_WEIGHTS", /classifier.weight is \[5, 24\], expected \[7, 24\]/],
    [{ qkv_bias: false }, "BAD_WEIGHTS", /unexpected: vit.encoder.layer.0.attention.attention.query.bias/],
  ])("%j", async (extra, code, message) => {
    const error: unknown = await load(plainCheckpoint(), extra).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EngineError);
    expect((error as EngineError).message).toMatch(message);
    expect((error as EngineError).code).toBe(code);
  });
});
