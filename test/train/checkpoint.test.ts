/** @file Checkpoints as bytes: everything comes back, and nothing but the very bytes that were written is read. */

import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { expectIdentity, readCheckpoint, writeCheckpoint } from "../../src/train/checkpoint.ts";
import type { Checkpoint } from "../../src/train/checkpoint.ts";

const checkpoint: Checkpoint = {
  identity: { config: "aaaa", model: "bbbb", data: "cccc" },
  loop: {
    step: 7,
    epoch: 1,
    at: 2,
    best: { step: 4, value: 0.5, scores: { accuracy: 0.5 } },
    stale: 1,
    ended: null,
    milliseconds: 12.5,
  },
  schedule: { kind: "cosine", learningRate: 1e-3, warmup: 2, steps: 20, final: 0 },
  generator: { kind: "philox4x32-10", seed: 3 },
  trainer: {
    tensors: {
      "adapter a/adapters.down/0/weights": Float32Array.of(1, -0, Number.MIN_VALUE, 1e-40, 3.5),
      "adapter a/adapters.down/0/first": new Float32Array(5),
    },
    updates: { "adapter a/adapters.down/0": 7 },
    passes: 14,
  },
};

describe("a checkpoint", () => {
  test("gives back everything, bit for bit, and is a safetensors file", async () => {
    const bytes = await writeCheckpoint(checkpoint);
    expect(await readCheckpoint(bytes, "c")).toEqual(checkpoint);
    expect([...readSafetensors(bytes, "c").tensors.keys()]).toHaveLength(2);
    expect(await writeCheckpoint(checkpoint)).toEqual(bytes);
  });

  test("with any one bit flipped is refused", async () => {
    const bytes = await writeCheckpoint(checkpoint);
    for (let at = 0; at < bytes.length; at += 1) {
      const spoiled = bytes.slice();
      spoiled[at] = (spoiled[at] as number) ^ (1 << (at % 8));
      await expect(readCheckpoint(spoiled, "c.safetensors"), `byte ${at}`).rejects.toMatchObject({
        code: "BAD_FILE",
        message: expect.stringContaining("c.safetensors is no whole checkpoint"),
      });
    }
  });

  test("that ends early, at any byte, or goes on is refused", async () => {
    const bytes = await writeCheckpoint(checkpoint);
    for (let length = 0; length < bytes.length; length += 1)
      await expect(readCheckpoint(bytes.subarray(0, length), "c")).rejects.toMatchObject({ code: "BAD_FILE" });
    await expect(readCheckpoint(Uint8Array.of(...bytes, 0), "c")).rejects.toMatchObject({ code: "BAD_FILE" });
  });

  test("of something else is refused with both hashes", () => {
    const { identity } = checkpoint;
    expect(() => expectIdentity(identity, { ...identity, config: "dddd" }, "c")).toThrow(
      "c is of another configuration: its config has the hash aaaa, this one's dddd",
    );
    expect(() => expectIdentity(identity, { ...identity, data: "dddd" }, "c")).toThrow("other data");
    expect(() => expectIdentity(identity, { ...identity, model: "dddd" }, "c")).toThrow("another model");
    expectIdentity(identity, { ...identity }, "c");
  });
});
