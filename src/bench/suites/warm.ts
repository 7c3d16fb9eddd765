/** @file Suite `warm`: what a run of a loaded model creates once it has run before: nothing. */

import type { Comparison } from "../../cases/check.ts";
import { compare } from "../../cases/check.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Model } from "../../model/model.ts";
import type { RunInput, RunOutput } from "../../model/types.ts";
import { coda } from "../../routing/coda.ts";
import { measure } from "../harness.ts";
import type { Candidate, Timing } from "../harness.ts";
import { atMost, timingFields } from "../report.ts";
import type { Reach, ReportRow } from "../report.ts";
import type { Suite } from "../suite.ts";
import { bertHost, createdBetween, syntheticModel } from "../synthetic-bert.ts";

/** A small BERT: large enough to have every kind of launch. */
const CONFIG = {
  model_type: "bert",
  hidden_size: 256,
  num_hidden_layers: 4,
  num_attention_heads: 8,
  intermediate_size: 1024,
  max_position_embeddings: 512,
  vocab_size: 1000,
};

/** The lengths of the batch that is timed; the others are shorter and fit the same plan. */
const LENGTHS = [128, 100, 64, 37];
const SHORTER = [90, 64, 33, 5];

/** A batch that the host reads: ids, or features of its own frame width. */
function batchFor({ host }: Model, lengths: readonly number[]): RunInput {
  const { input, maxTokens } = host.shape;
  if (input.kind === "ids") {
    return {
      ids: lengths.map((length) =>
        Array.from({ length: Math.min(length, maxTokens) }, (_, i) => (i * 31 + length) % input.vocabulary),
      ),
    };
  }
  // Images have one length only.
  const frames = (length: number): number =>
    input.kind === "image" ? input.patches : Math.max(1, Math.min(length, input.frames));
  const features = (length: number): Float32Array =>
    Float32Array.from({ length: frames(length) * input.featureWidth }, (_, i) => Math.sin(i));
  return {
    features: lengths.map((length) => ({ data: features(length), shape: [frames(length), input.featureWidth] })),
  };
}

interface Form {
  readonly name: string;
  readonly prepare: (model: Model) => void;
}

const FORMS: readonly Form[] = [
  { name: "dense", prepare: (model) => model.setRouting(null) },
  {
    name: "routed r = 3, k-to-all",
    prepare: (model) => model.setRouting(coda({ reduction: 3, attention: "k-to-all" })),
  },
];

/** The suite. */
export const warmSuite: Suite = {
  name: "warm",
  summary: "a warm run of a loaded model: pipelines, buffers and bind groups created, and its time (--model FOLDER)",
  run: async (gpu, { rounds = 10, model: given }, context) => {
    const model = given ?? syntheticModel(gpu, bertHost(CONFIG), 1);
    const repeats = { warmup: 2, rounds };
    try {
      if (!model.adapters.includes("bench")) await model.addAdapter("bench", "coda");
      model.setActive("bench");
      const candidates = FORMS.map((form) => candidate(model, form));
      const timings = await measure(candidates, repeats, context);
      const rows: ReportRow[] = [];
      for (const [index, form] of FORMS.entries()) {
        rows.push(await warmRow(gpu, model, form, timings[index] as Timing));
      }
      const notes = [
        `${model.host.shape.family} with ${model.host.shape.layers} layers of width ${model.host.shape.width}, sequences of ${LENGTHS.join(", ")} tokens;`,
        "created: counted over a warm run of the same lengths and one of shorter ones.",
        "verified: two runs agree to the last bit. Against float64 the kernels are checked by doctor and the layers by the other suites.",
      ];
      return { rows, notes, settings: { ...repeats, lengths: LENGTHS, shorter: SHORTER } };
    } finally {
      if (given === undefined) await model.dispose();
    }
  },
};

function candidate(model: Model, form: Form): Candidate {
  const input = batchFor(model, LENGTHS);
  const once = async (): Promise<RunOutput> => {
    form.prepare(model);
    return model.run(input);
  };
  const verify = async (): Promise<Comparison> => {
    const [first, second] = [await once(), await once()];
    return compare("hidden", second.hidden?.data ?? [], first.hidden?.data ?? [], 0);
  };
  return { name: form.name, verify, run: async () => (await once()).timing.wall };
}

async function warmRow(gpu: Gpu, model: Model, form: Form, timing: Timing): Promise<ReportRow> {
  form.prepare(model);
  await model.run(batchFor(model, LENGTHS));
  const before = gpu.counters;
  await model.run(batchFor(model, LENGTHS));
  await model.run(batchFor(model, SHORTER));
  const created = createdBetween(before, gpu.counters);
  const reaches: Reach[] = [
    atMost("pipelines created", 0, created.pipelines),
    atMost("buffers created", 0, created.buffers),
    atMost("bind groups created", 0, created.bindGroups),
  ];
  return { suite: "warm", name: form.name, cells: { ...created }, ...timingFields(timing), reaches };
}
