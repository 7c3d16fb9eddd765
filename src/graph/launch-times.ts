/** @file The launches of a profiled run, each with its time. */

import type { RunResult } from "./plan.ts";
import type { Step } from "./schedule.ts";

/** Time of one launch of a profiled run. */
export interface LaunchTime {
  readonly scope: string;
  readonly op: string;
  readonly kernel: string;
  readonly milliseconds: number;
}

/** @returns the launches in their order; null where the run was not profiled, or the device has no timestamps. */
export function launchTimes(
  steps: readonly Step[],
  { launchMilliseconds }: Pick<RunResult, "launchMilliseconds">,
): readonly LaunchTime[] | null {
  if (launchMilliseconds === null) return null;
  const launches = steps.flatMap(({ node, launches: own }) =>
    own.map(({ launch }) => ({ scope: node.scope, op: node.label, kernel: launch.kernel })),
  );
  return launches.map((launch, index) => ({ ...launch, milliseconds: launchMilliseconds[index] as number }));
}
