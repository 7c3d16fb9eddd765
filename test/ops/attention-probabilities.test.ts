/** @file `attention-probabilities` on the device against float64. */

import { attentionProbabilitiesCases } from "../../src/cases/attention-probabilities.ts";
import { attentionProbabilities } from "../../src/ops/attention-probabilities.ts";
import { attentionProbabilities as reference } from "../../src/reference/attention-probabilities.ts";
import { describeOp } from "./check-case.ts";

describeOp(attentionProbabilities, reference, attentionProbabilitiesCases);
