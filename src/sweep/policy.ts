/** @file From the settings of a point to the routing policy that a model takes. */

import { coda } from "../routing/coda.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import type { Router } from "../routing/router.ts";
import { routers } from "../routing/routers/index.ts";
import { EngineError } from "../errors.ts";
import { settingsText } from "./settings.ts";
import type { PointSettings } from "./settings.ts";

/** The places that an oracle names in a sequence of the batch, for a layer with this reduction factor. */
export type OracleChoice = (sequence: number, layer: number, reduction: number) => readonly number[];

function routerOf({ router, threshold, reduction }: PointSettings, oracle: OracleChoice): string | Router {
  if (router === "threshold") return routers.threshold({ threshold: threshold ?? 0 });
  if (router !== "oracle") return router;
  return routers.oracle({ indices: (sequence, layer) => oracle(sequence, layer, reduction ?? 1) });
}

/**
 * @param layers of the host
 * @param oracle rows for the oracle; other routers do not ask
 * @returns the policy of a point, null for the dense baseline
 * @throws EngineError as `coda` does, naming the point
 */
export function policyOf(settings: PointSettings, layers: number, oracle: OracleChoice = () => []): CodaPolicy | null {
  const { router, reduction, attention, softTopK, part, layers: routed, seed } = settings;
  if (router === "dense") return null;
  try {
    return coda({
      reduction: Array.from({ length: layers }, (_, layer) => (routed?.includes(layer) === true ? reduction : null)),
      router: routerOf(settings, oracle),
      ...(attention === null ? {} : { attention }),
      ...(softTopK === null ? {} : { softTopK }),
      ...(part === null ? {} : { part }),
      ...(seed === null ? {} : { seed }),
    });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.code, `the point ${settingsText(settings)}: ${error.message}`, {
      where: "axes",
      fix: error.fix === "" ? "leave this combination out" : error.fix,
      cause: error,
    });
  }
}
