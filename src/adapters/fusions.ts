/**
 * @file The fusions of one model: weights by name, folded on the GPU for the adapters that they join (DESIGN §5.2). A fusion
 * is folded anew when one of its adapters was replaced, a weight forced to 0, or adapters pruned. While it is trained its own matrices
 * are resident instead, and whatever runs computes it from them.
 */

import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Parameters } from "../graph/parameters.ts";
import { fusionTemperature } from "./fusion-config.ts";
import { FusionFolder } from "./fusion-fold.ts";
import type { FusionShape } from "./fusion-fold.ts";
import { fillSite, freeSite, keptOf, placeKey, reheatSite, sameChildren, siteFor } from "./fusion-sites.ts";
import type { Fusion, FusionChild, FusionPlace, FusionSite, TrainedForm } from "./fusion-sites.ts";
import { shareIdentity, trainedParts } from "./fusion-trained.ts";
import { misfits, need, refuseMisfits } from "./tensors.ts";
import type { AdapterTensors } from "./tensors.ts";

/** A part of a fusion that is trained: a resident parameter of its own. */
export interface FusionStretch {
  readonly parameter: string;
  readonly elements: number;
  /** It is no matrix. */
  readonly bias: boolean;
  /** Its tensor among those of the fusion. */
  readonly tensor: string;
}

interface Prepared {
  readonly fusion: Fusion;
  readonly children: readonly FusionChild[];
  readonly compatCalls: number | undefined;
  readonly sites: ReadonlyMap<string, { readonly at: FusionPlace; readonly site: FusionSite }>;
}

/** Fusions by name. */
export class Fusions {
  readonly #gpu: Gpu;
  readonly #parameters: Parameters;
  readonly #width: number;
  readonly #known = new Map<string, Fusion>();
  readonly #prepared = new Map<string, Prepared>();
  readonly #held = new Map<string, TrainedForm>();
  readonly #versions = new Map<string, number>();
  readonly #calls = new Map<string, number>();

  constructor(gpu: Gpu, parameters: Parameters, width: number) {
    this.#gpu = gpu;
    this.#parameters = parameters;
    this.#width = width;
  }

  get names(): readonly string[] {
    return [...this.#known.keys()];
  }

  has(name: string): boolean {
    return this.#known.has(name);
  }

  /** @throws EngineError UNKNOWN_NAME naming `addFusion` */
  get(name: string): Fusion {
    const fusion = this.#known.get(name);
    if (fusion !== undefined) return fusion;
    const known = this.names.join(" and ") || "none";
    throw new EngineError("UNKNOWN_NAME", `there are no fusion weights for ${name}; known: ${known}`, {
      where: name,
      fix: `add them with addFusion(${JSON.stringify(name.split(","))}, …)`,
    });
  }

  /**
   * Adds a fusion, or changes one; what was folded is folded anew before the next run.
   * @throws EngineError UNSUPPORTED for one that is trained: what is on the GPU is newer than what would be folded
   */
  set(name: string, fusion: Fusion): void {
    if (this.#held.has(name)) throw heldError(name, "cannot be changed");
    this.#known.set(name, fusion);
    this.#change(name);
  }

  /** Forgets a fusion and frees what was folded. */
  delete(name: string): void {
    this.#free(name);
    this.#held.delete(name);
    this.#known.delete(name);
  }

  /** Changes whenever a fusion does: part of the signature of plans that hold its buffers. */
  version(name: string): number {
    return this.#versions.get(name) ?? 0;
  }

  /** Counts a forward pass: upstream's temperature falls with each (compat only). */
  countCall(name: string): void {
    this.#calls.set(name, this.callsOf(name) + 1);
  }

  /** Forward passes under compat so far. */
  callsOf(name: string): number {
    return this.#calls.get(name) ?? 0;
  }

  /** @returns how a prepared fusion is computed at a place, or null where it has nothing. */
  siteOf(name: string, at: FusionPlace): FusionSite | null {
    return this.#prepared.get(name)?.sites.get(placeKey(at))?.site ?? null;
  }

  /** @returns which of a fusion's children take part at a place: the last of these that stands there says what all read. */
  keptAt(name: string, at: FusionPlace, children: number): readonly number[] {
    return keptOf(this.get(name), at, children);
  }

  /**
   * Folds a fusion for its adapters, unless that is done; of one that is trained, puts its matrices on the GPU, once.
   * @param compatCalls forward passes so far, where upstream's falling temperature is reproduced
   * @throws EngineError LIMIT; UNSUPPORTED for a fusion that is trained, with other adapters than those it was prepared for
   */
  async prepare(name: string, children: readonly FusionChild[], compatCalls?: number): Promise<void> {
    const fusion = this.get(name);
    const known = this.#prepared.get(name);
    const calls = fusion.config.temperature ? compatCalls : undefined;
    if (known !== undefined && known.fusion === fusion && sameChildren(known.children, children)) {
      if (known.compatCalls === calls) return;
      if (this.#held.has(name)) return this.#reheat(name, known, calls);
    }
    if (known !== undefined && this.#held.has(name)) throw heldError(name, "cannot join other adapters");
    this.#free(name);
    const sites = new Map<string, { at: FusionPlace; site: FusionSite }>();
    this.#prepared.set(name, { fusion, children, compatCalls: calls, sites });
    const folders = new Map<string, FusionFolder>();
    const folder = async (shape: FusionShape): Promise<FusionFolder> => {
      const made = folders.get(JSON.stringify(shape)) ?? (await FusionFolder.create(this.#gpu, shape));
      folders.set(JSON.stringify(shape), made);
      return made;
    };
    const temperature = fusionTemperature(fusion.config, calls);
    const held = this.#held.get(name) ?? null;
    try {
      if (held !== null && isRegularised(fusion)) shareIdentity(this.#parameters, this.#width);
      for (const at of fusion.places.filter(({ layer }) => !fusion.dropped.has(layer))) {
        const site = siteFor({ name, fusion, children, width: this.#width, held }, at);
        if (site === null) continue;
        await fillSite(this.#parameters, site, at, { fusion, children, temperature, folder });
        sites.set(placeKey(at), { at, site });
      }
    } catch (error) {
      this.#free(name);
      throw error;
    } finally {
      for (const made of folders.values()) await made.dispose();
    }
  }

  /**
   * Keeps the matrices of a fusion on the GPU from the next {@link prepare} on, as parameters that may be trained: whatever runs
   * computes the fusion from them. Until {@link release}.
   * @throws EngineError UNKNOWN_NAME; UNSUPPORTED for one that is held already
   */
  hold(name: string, form: TrainedForm = "folded"): void {
    this.get(name);
    if (this.#held.has(name)) throw heldError(name, "is trained by one trainer at a time");
    this.#free(name);
    this.#held.set(name, form);
    this.#change(name);
  }

  /**
   * @returns what is trained of a fusion that is held and prepared, place by place
   * @throws EngineError BAD_CONFIG for one that no active composition has prepared
   */
  stretchesOf(name: string): readonly FusionStretch[] {
    const { tensors } = this.get(name);
    const prepared = this.#prepared.get(name);
    if (!this.#held.has(name) || prepared === undefined)
      throw new EngineError("BAD_CONFIG", `the fusion ${name} is not in what is active`, {
        where: name,
        fix: "activate it with setActive(fuse(...)) before it is trained",
      });
    return [...prepared.sites].flatMap(([key, { site }]) =>
      trainedParts(site.choice.shape).map(({ part, tensor }): FusionStretch => {
        const whole = `layers.${key}.${tensor}`;
        const { data, shape } = need(tensors, whole);
        return {
          parameter: `${site.choice.name}.${part}`,
          elements: data.length,
          bias: shape.length === 1,
          tensor: whole,
        };
      }),
    );
  }

  /** @returns the parameters that hold Wv of a fusion that is held, where its configuration asks for the regulariser (MATHS §2.4). */
  regularisedOf(name: string): readonly string[] {
    if (!isRegularised(this.get(name))) return [];
    return this.stretchesOf(name).flatMap(({ parameter, tensor }) =>
      tensor.endsWith(".value.weight") ? [parameter] : [],
    );
  }

  /**
   * Gives a fusion other weights: they are folded before the next run, or of one that is held written to what is trained.
   * @throws EngineError UNKNOWN_NAME; BAD_WEIGHTS for tensors that do not fit, all of them listed
   */
  replace(name: string, tensors: AdapterTensors): void {
    const fusion = this.get(name);
    const shapes = new Map([...fusion.tensors].map(([tensor, { shape }]) => [tensor, shape]));
    const problems = misfits(tensors, shapes);
    refuseMisfits(`what should replace fusion ${name} does not fit`, problems, {
      where: name,
      fix: "check its shapes",
    });
    this.#define(name, tensors);
    if (!this.#held.has(name)) this.#change(name);
    else if (this.#prepared.has(name))
      for (const { parameter, tensor } of this.stretchesOf(name))
        this.#parameters.write(parameter, need(tensors, tensor).data);
  }

  /** Reads what was trained of a fusion that is held: its definition is that from then on. */
  async takeBack(name: string): Promise<void> {
    const stretches = this.stretchesOf(name);
    const { tensors } = this.get(name);
    const found = await this.#gpu.read(stretches.map(({ parameter }) => this.#parameters.slice(parameter)));
    const read = stretches.map(({ tensor }, index) => {
      const data = new Float32Array(found[index] as ArrayBuffer);
      return [tensor, { shape: need(tensors, tensor).shape, data }] as const;
    });
    this.#define(name, new Map([...tensors, ...read]));
  }

  /** Changes the definition; of one that is held what was prepared stays. */
  #define(name: string, tensors: AdapterTensors): void {
    const changed = { ...this.get(name), tensors };
    const prepared = this.#prepared.get(name);
    this.#known.set(name, changed);
    if (prepared !== undefined && this.#held.has(name)) this.#prepared.set(name, { ...prepared, fusion: changed });
  }

  /**
   * Ends what {@link hold} began: what was taken back by then is folded before the next run, what was not is lost. Parameters that were
   * packed must have been unpacked.
   */
  release(name: string): void {
    if (!this.#held.delete(name)) return;
    this.#free(name);
    this.#change(name);
  }

  #reheat(name: string, known: Prepared, compatCalls: number | undefined): void {
    const temperature = fusionTemperature(known.fusion.config, compatCalls);
    for (const { at, site } of known.sites.values()) reheatSite(this.#parameters, site, at, { ...known, temperature });
    this.#prepared.set(name, { ...known, compatCalls });
  }

  /** What is resident of it is made anew. */
  #change(name: string): void {
    this.#versions.set(name, this.version(name) + 1);
  }

  #free(name: string): void {
    const prepared = this.#prepared.get(name);
    if (prepared === undefined) return;
    for (const { site } of prepared.sites.values()) freeSite(this.#parameters, site);
    this.#prepared.delete(name);
    this.#change(name);
  }
}

function isRegularised({ config }: Fusion): boolean {
  return config.value && config.regularization;
}

function heldError(name: string, what: string): EngineError {
  return new EngineError("UNSUPPORTED", `the fusion ${name} is being trained: it ${what}`, {
    where: name,
    fix: "dispose of the trainer first",
  });
}
