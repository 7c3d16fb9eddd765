/**
 * @file Fusions computed as MATHS §2.4 writes them, keys and values of every adapter included: the library's iterative
 * AdapterFusion, which the engine itself never chooses.
 */

import { allocateUnfolded, writeUnfolded } from "../../src/adapters/fusion-build.ts";
import type { UnfoldedChoice, UnfoldedWeights } from "../../src/adapters/fusion-build.ts";
import { placeKey } from "../../src/adapters/fusion-sites.ts";
import type { Fusion, FusionPlace, FusionSite } from "../../src/adapters/fusion-sites.ts";
import { Fusions } from "../../src/adapters/fusions.ts";
import { need } from "../../src/adapters/tensors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Parameters } from "../../src/graph/parameters.ts";

function weightsAt({ tensors }: Fusion, at: FusionPlace): UnfoldedWeights {
  const part = (name: string): Float32Array => need(tensors, `layers.${placeKey(at)}.${name}`).data;
  return {
    query: { weight: part("query.weight"), bias: part("query.bias") },
    key: { weight: part("key.weight"), bias: part("key.bias") },
    value: { weight: part("value.weight") },
  };
}

/** The fusions of a model that are folded already, in their literal form. Their configuration is `dynamic`. */
export class LiteralFusions extends Fusions {
  readonly #folded: Fusions;
  readonly #parameters: Parameters;

  constructor(gpu: Gpu, parameters: Parameters, width: number, folded: Fusions) {
    super(gpu, parameters, width);
    this.#folded = folded;
    this.#parameters = parameters;
  }

  override get(name: string): Fusion {
    return this.#folded.get(name);
  }

  override siteOf(name: string, at: FusionPlace): FusionSite | null {
    const folded = this.#folded.siteOf(name, at);
    if (folded === null) return null;
    const { shape } = folded.choice;
    const choice: UnfoldedChoice = { name: `literal.${name}.${placeKey(at)}`, shape, form: "literal" };
    if (!this.#parameters.has(`${choice.name}.query`)) {
      allocateUnfolded(this.#parameters, choice);
      writeUnfolded(this.#parameters, choice, weightsAt(this.get(name), at));
    }
    return { ...folded, form: "unfolded", choice };
  }
}
