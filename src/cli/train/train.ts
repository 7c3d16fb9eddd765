/** @file `train`: adapters, fusions, routers, heads and hosts, as a configuration file says. */

import type { Command, Io } from "../command.ts";
import { openDevice } from "../device.ts";
import { loadPlaced } from "../load-placed.ts";
import { lockFolder } from "./lock.ts";
import { TRAIN_HELP, readTrainRequest } from "./options.ts";
import type { TrainRequest } from "./options.ts";
import { writeTrainResults } from "./results.ts";
import { train } from "./run.ts";

/** The command `train`. */
export const trainCommand: Command = {
  name: "train",
  summary: "train adapters, fusions, routers, heads or the host; resumes to the same bits",
  help: TRAIN_HELP,
  async run(args, io) {
    const request = await readTrainRequest(args);
    const release = await lockFolder(request.out);
    try {
      await trainIn(request, io);
    } finally {
      await release();
    }
    return 0;
  },
};

/** Trains into a folder that is held. */
async function trainIn(request: TrainRequest, io: Io): Promise<void> {
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
}
