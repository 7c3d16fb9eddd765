/** @file The known architectures, by `model_type`. */

import { EngineError } from "../errors.ts";
import { albert } from "./albert.ts";
import { bert } from "./bert.ts";
import { distilbert } from "./distilbert.ts";
import { gpt2 } from "./gpt2.ts";
import { rateField } from "./config.ts";
import type { Config } from "./config.ts";
import type { Host, HostDropout, HostSource } from "./host.ts";
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

/** Fields of configurations, the first that is set counts (MATHS §3.1); 0 where none is. */
const ATTENTION_RATES = ["attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "dropout_rate"];
const HEAD_RATES = [
  "classifier_dropout",
  "seq_classif_dropout",
  "hidden_dropout_prob",
  "dropout",
  "resid_pdrop",
  "dropout_rate",
];

function dropoutOf(config: Config): HostDropout {
  const first = (fields: readonly string[]): number => {
    const field = fields.find((name) => config[name] !== undefined && config[name] !== null);
    return field === undefined ? 0 : rateField(config, field);
  };
  return { attention: first(ATTENTION_RATES), head: first(HEAD_RATES) };
}

/**
 * Builds the host that a configuration describes.
 * @param half stores matrices and embedding tables in half precision
 * @throws EngineError BAD_CONFIG for an unknown `model_type`
 */
export function buildHost(source: HostSource, half: boolean): Host {
  const type = source.config.model_type;
  const builder = typeof type === "string" && Object.hasOwn(builders, type) ? builders[type] : undefined;
  if (builder !== undefined)
    return {
      ...builder(source, half),
      // Read by trainings alone: what is wrong there is no reason to refuse a model.
      get dropout() {
        return dropoutOf(source.config);
      },
    };
  const message = `config.json: unknown model_type ${JSON.stringify(type) ?? "(missing)"}; known: ${hostFamilies.join(", ")}`;
  throw new EngineError("BAD_CONFIG", message, { where: "model_type", fix: "pass a config with a known model_type" });
}
