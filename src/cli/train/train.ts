/** @file `train`: adapters, fusions, routers, heads and hosts, as a configuration file says. */

import type { Command } from "../command.ts";
import { openDevice } from "../device.ts";
import { loadPlaced } from "../load-placed.ts";
import { TRAIN_HELP, readTrainRequest } from "./options.ts";
import { writeTrainResults } from "./results.ts";
import { train } from "./run.ts";

/** The command `train`. */
export const trainCommand: Command = {
  name: "train",
  summary: "train adapters, fusions, routers, heads or the host; resumes to the same bits",
  help: TRAIN_HELP,
  async run(args, io) {
    const request = await readTrainRequest(args);
    const gpu = await openDevice(request.device, io);
    try {
      const { fresh, ...place } = request.config.model;
      const model = await loadPlaced(place, request.root, gpu, fresh === null ? {} : { fresh: { seed: fresh } });
      try {
        await writeTrainResults(request, await train(request, model, io), gpu, io);
      } finally {
        await model.dispose();
      }
    } finally {
      await gpu.dispose();
    }
    return 0;
  },
};
