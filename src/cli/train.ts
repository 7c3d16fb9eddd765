/** @file `train`: a place in the list of commands, until there is something behind it. */

import { EngineError } from "../errors.ts";
import type { Command } from "./command.ts";

/** Training of adapters, routers and heads. Not there yet. */
export const trainCommand: Command = {
  name: "train",
  summary: "train adapters, routers and heads (not there yet)",
  help: "usage: adapters-webgpu train\n\nTraining is not there yet: this version runs models, adapters and routing forward only.\n",
  async run() {
    throw new EngineError("NOT_IMPLEMENTED", "train is not there yet: this version only runs models forward", {
      where: "train",
      fix: "use run, bench, inspect or doctor",
    });
  },
};
