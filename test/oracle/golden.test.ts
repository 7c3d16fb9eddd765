/** @file The oracle against the library: every golden case, from the library's own files, to its recommended tolerance. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { folderFromPath } from "../../src/node/folder.ts";
import { dataPath, missing } from "../data.ts";
import { readTensors } from "./adapter-files.ts";
import type { Files } from "./adapter-files.ts";
import { oracle } from "./oracle.ts";
import { at } from "./rows.ts";
import type { Tensor } from "./rows.ts";
import type { SetupNode } from "./setup-tree.ts";
import { goldenInputs } from "./golden-inputs.ts";

/** What the tests read of a `case.json`. */
interface GoldenCase {
  readonly output: string;
  readonly adapters: readonly string[];
  /** Real names → folder names. */
  readonly fusions: Readonly<Record<string, string>>;
  readonly active: SetupNode;
  readonly skip_layers: readonly number[] | null;
  readonly merged: string | null;
  readonly ejected: string | null;
  readonly recommended_atol: number;
}

/** What SOURCE.md recommends at least; the bare hosts have no tolerance of their own. */
const ABSOLUTE = 5e-5;

async function filesAt(path: string): Promise<Files> {
  const folder = folderFromPath(path);
  const names = await folder.list();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await folder.read(name)] as const)));
}

async function filesOf(names: Readonly<Record<string, string>>, path: string): Promise<Record<string, Files>> {
  const read = Object.entries(names).map(async ([name, place]) => [name, await filesAt(`${path}/${place}`)] as const);
  return Object.fromEntries(await Promise.all(read));
}

/** Largest difference from an expected tensor `[sequences, rows, width]`; of a padded one, over the rows that there are. */
function difference(actual: readonly Float64Array[], expected: Tensor, padded: boolean): number {
  expect(actual.length).toBe(expected.shape[0]);
  const stride = expected.data.length / actual.length;
  let worst = 0;
  for (const [sequence, values] of actual.entries()) {
    if (padded) expect(values.length).toBeLessThanOrEqual(stride);
    else expect(values.length).toBe(stride);
    for (const [i, value] of values.entries()) {
      worst = Math.max(worst, Math.abs(value - at(expected.data, sequence * stride + i)));
    }
  }
  return worst;
}

describe.skipIf(missing("adapters-golden")).each(["bert", "gpt2"])("the library's %s", (family) => {
  const root = dataPath(`adapters-golden/${family}`);
  const cases = existsSync(`${root}/cases`) ? readdirSync(`${root}/cases`) : [];

  test("without adapters", async () => {
    const expected = readTensors(await filesAt(`${root}/base`), "expected.safetensors");
    const host = await filesAt(`${root}/base`);
    for (const [name, tensor] of expected) {
      const inputs = goldenInputs(await filesAt(root), name);
      expect(difference(oracle({ host, inputs }), tensor, name === "padded"), name).toBeLessThan(ABSOLUTE);
    }
  });

  test.each(cases)("%s", async (name) => {
    const path = `${root}/cases/${name}`;
    const golden = JSON.parse(readFileSync(`${path}/case.json`, "utf8")) as GoldenCase;
    const host = await filesAt(`${root}/base`);
    const own = Object.fromEntries(golden.adapters.map((adapter) => [adapter, adapter]));
    const adapters = await filesOf(own, `${path}/adapters`);
    const fusions = await filesOf(golden.fusions, `${path}/fusions`);
    const expected = readTensors(await filesAt(path), "expected.safetensors");
    const allInputs = await filesAt(root);
    // A gate averages over padding in the library, so a padded batch has no unpadded equal there.
    const gated = Object.values(adapters).some((files) =>
      /"use_gating":\s*true/.test(new TextDecoder().decode(files["adapter_config.json"] as Uint8Array)),
    );
    let compared = 0;
    for (const [input, tensor] of expected) {
      if (input === "padded" && gated) continue;
      const actual = oracle({
        host,
        adapters,
        fusions,
        ...(golden.output === "logits" ? { heads: adapters } : {}),
        active: golden.active,
        skipLayers: golden.skip_layers,
        merged: golden.merged,
        ejected: golden.ejected,
        compat: true,
        inputs: goldenInputs(allInputs, input),
      });
      expect(difference(actual, tensor, input === "padded"), input).toBeLessThan(golden.recommended_atol);
      compared += actual.length;
    }
    expect(compared).toBeGreaterThan(0);
  });
});
