/**
 * @file The test run. Processes, not threads: a worker thread cannot tell the Vulkan loader which driver to use. Two at a
 * time: the software adapter itself computes on all cores, and more would only contend. Files that run in one process share its
 * modules, and with them the device and every pipeline it has compiled: compiling is most of the time on a software adapter.
 */

import type { ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = {
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default"],
  },
};

export default config;
