/** @file Cross-entropy of rows of logits with whole-number labels, with label smoothing. */

import { EngineError } from "../errors.ts";
import { SOFTMAX_FLOPS, counted } from "./cost.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Launch, Op, OpCall, TensorType } from "./op.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";

/** The label of a row that takes no part. */
export const noLabel = 0xffffffff;

/** Attributes of {@link crossEntropy} and of its gradient. */
export interface CrossEntropyAttributes extends Attributes {
  /** ε in [0, 1): the wanted distribution is (1 − ε) · one-hot + ε / C. 0 when absent. */
  readonly labelSmoothing?: number | undefined;
}

/** Classes from which on a workgroup's row has {@link WIDE_LANES} invocations. */
const WIDE = 2048;
const WIDE_LANES = 256;

/**
 * logits[R, C], labels[R] u32 -> losses[R] = −(1 − ε) ln p[label] − ε / C Σ ln p with p = softmax(logits), and normalizer[R, 2] = (m, s):
 * the largest logit and Σ exp(z − m), for the gradient. A label from C on, {@link noLabel} above all, takes no part: its loss is 0. The host
 * refuses other labels from C on.
 */
export const crossEntropy: Op<CrossEntropyAttributes> = {
  stem: "cross-entropy",
  infer: (inputs, attributes) => {
    const [rows] = expectLogits("cross-entropy", inputs, attributes);
    return {
      losses: { shape: [rows], element: "f32" },
      normalizer: { shape: [rows, 2], element: "f32" },
    };
  },
  cost: (call, size) =>
    counted(
      { softmax: SOFTMAX_FLOPS * elementCount(call.inputs.logits as TensorType, size) },
      trafficBytes(call, size),
    ),
  variants: ({ inputs }, device) => rowVariants(device, inputs.logits?.shape[1] as number),
  launch: (call, variant) => [crossEntropyLaunch(call, variant)],
};

function crossEntropyLaunch({ inputs, attributes }: OpCall<CrossEntropyAttributes>, variant: string): Launch {
  const [rows, width] = (inputs.logits as TensorType).shape as readonly [Dim, number];
  const smoothing = attributes.labelSmoothing ?? 0;
  const constants = { SMOOTH: smoothing > 0 };
  const launch = rowLaunch({ kernel: "cross-entropy", variant, width, rows, constants, uniform: { smoothing } });
  if (variant !== "workgroup" || width < WIDE) return launch;
  return { ...launch, constants: { ...launch.constants, LANES: WIDE_LANES } };
}

/** Checks logits[R, C], labels[R] and the attributes; @returns [R, C]. */
export function expectLogits(
  op: string,
  { logits, labels }: Readonly<Record<string, TensorType>>,
  { labelSmoothing = 0 }: CrossEntropyAttributes,
): readonly [Dim, number] {
  if (!(labelSmoothing >= 0 && labelSmoothing < 1)) {
    const message = `${op}: labelSmoothing is ${labelSmoothing}, expected a number from 0 to below 1`;
    throw new EngineError("BAD_CONFIG", message, { where: `${op}.labelSmoothing` });
  }
  const { shape } = expectTensor(op, "logits", logits, 2);
  const rows = shape[0] as Dim;
  expectDim(op, "labels axis 0", expectTensor(op, "labels", labels, 1, ["u32"]).shape[0], rows);
  return [rows, staticDim(op, "logits axis 1", shape[1])];
}
