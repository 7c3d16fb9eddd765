/** @file Matrix product with everything that surrounds it in a Transformer fused in. */

import { activationCode } from "./activation.ts";
import type { ActivationName } from "./activation.ts";
import { expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, OpCall } from "./op.ts";

export interface MatmulAttributes extends Attributes {
  readonly activation?: ActivationName;
  readonly firstRow?: number;
  readonly rowCount?: number;
}

function rows(call: OpCall<MatmulAttributes>): Dim {
  return (call.inputs.gather ?? call.inputs.x)?.shape[0] as Dim;
}

export const matmul: Op<MatmulAttributes> = {
  stem: "matmul",
  infer: (inputs, { firstRow = 0, rowCount }) => {
    const x = expectTensor("matmul", "x", inputs.x, 2);
    const w = expectTensor("matmul", "w", inputs.w, 2, ["f32", "f16"]);
    expectDim("matmul", "w axis 1", w.shape[1], staticDim("matmul", "x axis 1", x.shape[1]));
    const columns = rowCount ?? staticDim("matmul", "w axis 0", w.shape[0]) - firstRow;
    const count = (inputs.gather ?? x).shape[0] as Dim;
    const base = inputs.scatter === undefined ? undefined : expectTensor("matmul", "base", inputs.base, 2);
    return { y: { shape: [(base?.shape[0] ?? count) as Dim, columns], element: "f32" } };
  },
  cost: (call, size) => {
    const k = call.inputs.x?.shape[1] as number;
    const n = call.outputs.y?.shape[1] as number;
    return { flops: 2 * size(rows(call)) * k * n, bytes: trafficBytes(call, size) };
  },
  variants: () => ["naive"],
  launch: (call) => {
    const { inputs, attributes } = call;
    const columns = call.outputs.y?.shape[1] as number;
    return [
      {
        kernel: "matmul",
        constants: {
          K: inputs.x?.shape[1] as number,
          ACTIVATION: attributes.activation === undefined ? 0 : activationCode(attributes.activation),
          HAS_BIAS: inputs.bias !== undefined,
          HAS_RESIDUAL: inputs.residual !== undefined,
          HAS_GATHER: inputs.gather !== undefined,
          HAS_SCATTER: inputs.scatter !== undefined,
          HAS_WEIGHT: inputs.weight !== undefined,
        },
        uniform: { rows: rows(call), columns, first_row: attributes.firstRow ?? 0 },
        grid: (size) => [Math.ceil(columns / 8), Math.ceil(size(rows(call)) / 8), 1],
      },
    ];
  },
  inPlace: (call): Record<string, string> => (call.inputs.scatter === undefined ? {} : { y: "base" }),
};
