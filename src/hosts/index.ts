/** @file The known architectures, by `model_type`. */

import { EngineError } from "../errors.ts";
import { albert } from "./albert.ts";
import { bert } from "./bert.ts";
import { distilbert } from "./distilbert.ts";
import { gpt2 } from "./gpt2.ts";
import type { Host, HostSource } from "./host.ts";
import { kwt } from "./kwt.ts";
import { roberta } from "./roberta.ts";
import { t5 } from "./t5.ts";
import { vit } from "./vit.ts";

/** Builders by `model_type`. */
const builders: Readonly<Record<string, (source: HostSource, half: boolean) => Host>> = {
  albert,
  bert,
  distilbert,
  gpt2,
  kwt,
  roberta,
  t5,
  vit,
};

/** Names of the known architectures. */
export const hostFamilies: readonly string[] = Object.keys(builders);

/** Those that read images: how pixels are normalised may stand in a file of its own. */
export const imageFamilies: ReadonlySet<unknown> = new Set(["vit"]);

/**
 * Builds the host that a configuration describes.
 * @param half stores matrices and embedding tables in half precision
 * @throws EngineError BAD_CONFIG for an unknown `model_type`
 */
export function buildHost(source: HostSource, half: boolean): Host {
  const type = source.config.model_type;
  const builder = typeof type === "string" && Object.hasOwn(builders, type) ? builders[type] : undefined;
  if (builder !== undefined) return builder(source, half);
  const message = `config.json: unknown model_type ${JSON.stringify(type) ?? "(missing)"}; known: ${hostFamilies.join(", ")}`;
  throw new EngineError("BAD_CONFIG", message, { where: "model_type", fix: "pass a config with a known model_type" });
}
