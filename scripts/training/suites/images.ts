/** @file Handwritten digits on the MNIST ViT: CoDA at r = 1, 2, 3 beside a dense adapter. Its 10,000 images are split by hash. */

import type { Run, Suite } from "../suite.ts";

function imagesRun(id: string, about: string, fields: Readonly<Record<string, unknown>>): Run {
  const config = {
    model: {
      folder: "mnist-vit-tiny",
      weights: "model.safetensors",
      config: "{root}scripts/training/mnist-vit.json",
    },
    data: {
      kind: "images",
      train: {
        images: "mnist-t10k/t10k-images-idx3-ubyte.gz",
        labels: "mnist-t10k/t10k-labels-idx1-ubyte.gz",
      },
      split: { test: 0.2 },
    },
    schedule: { kind: "linear", learningRate: 5e-3, warmup: 0.05 },
    batch: { sequences: 64 },
    // Its own: it reads the mean of all patches, while an added one would read the first of them.
    head: "default",
    epochs: 15,
    log: 10,
    seed: 1,
    ...fields,
  };
  return { id, about, minutes: 3, config };
}

const coda = { preset: "coda", reduction_factor: 2 };

/** The suite. */
export const images: Suite = {
  title: "Handwritten digits on the MNIST ViT",
  measure: "accuracy",
  runs: [
    imagesRun("head", "its own head, trained on", {}),
    imagesRun("layer", "dense, with the layer adapter of CoDA", { adapters: { digits: coda } }),
    ...[1, 2, 3].map((reduction) =>
      imagesRun(`coda-paper-r${reduction}`, `CoDA, r = ${reduction}`, {
        adapters: { digits: coda },
        routing: { reduction, attention: "k-to-all" },
      }),
    ),
  ],
};
