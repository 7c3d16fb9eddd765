/** @file Whole models on a device that somebody hands us, with no features and WebGPU's default limits. */

import { describe, expect, test } from "vitest";
import { openGpu } from "../../src/node/open.ts";
import { loadFolder } from "../../src/model/load.ts";
import { coda } from "../../src/routing/coda.ts";
import { plainDevice, sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import { normal } from "../../src/random.ts";
import { relativeError } from "./truth.ts";

describe.each(["albert", "gpt2", "kwt"])("a tiny %s on a plain device", (family) => {
  test("dense, adapted and routed, like on the shared device; the device is left alive", async () => {
    const device = await plainDevice();
    expect(device.limits.maxStorageBuffersPerShaderStage).toBe(8);
    const plain = await openGpu({ device });
    const shared = await sharedGpu();
    const tiny = tinyModel(family);
    const input =
      family === "kwt"
        ? { audio: [normal(3, 72, 0.3)] }
        : {
            ids: [
              [1, 2, 3, 4, 5, 6, 7],
              [3, 1],
            ],
          };
    const hidden: Float32Array[][] = [];
    for (const gpu of [plain, shared]) {
      const model = await loadFolder(gpu, tiny.folder);
      await model.addAdapter("a", { config: { layer_adapter: true, reduction_factor: 4, init_weights: "bert" } });
      const outputs: Float32Array[] = [];
      for (const [active, routing] of [
        [null, null],
        ["a", null],
        ["a", coda({ reduction: 2, attention: "k-to-all" })],
        ["a", coda({ reduction: 3 })],
      ] as const) {
        model.setActive(active);
        model.setRouting(routing);
        outputs.push(
          ((await model.run(input, { capture: ["layers.0.attention.probabilities"] })).hidden as { data: Float32Array })
            .data,
        );
      }
      hidden.push(outputs);
      await model.dispose();
    }
    hidden[0]?.forEach((output, i) => expect(relativeError(output, hidden[1]?.[i] as Float32Array)).toBeLessThan(2e-5));
    await plain.dispose();
    const buffer = device.createBuffer({ size: 16, usage: 8 });
    buffer.destroy();
    device.destroy();
  });
});
