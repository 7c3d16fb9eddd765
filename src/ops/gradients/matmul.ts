/**
 * @file y = x·Wᵀ + bias + residual: ∂x = ∂y·W, ∂W = ∂yᵀ·x, ∂bias = Σ ∂y over the rows, ∂residual = ∂y; of the transposed form y = x·W:
 * ∂x = ∂y·Wᵀ, ∂W = xᵀ·∂y. Rows of W that take no part have no gradient.
 */

import { EngineError } from "../../errors.ts";
import { gatherRows } from "../gather-rows.ts";
import type { BackwardCall, Builder, Gradient, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { matmulWeightGradient } from "../matmul-weight-gradient.ts";
import { matmul } from "../matmul.ts";
import type { MatmulAttributes } from "../matmul.ts";
import { sumRows } from "../sum-rows.ts";
import { scatterRows } from "./scatter-rows.ts";

type Call = BackwardCall<MatmulAttributes>;

/**
 * Of `matmul`, in the forms that graphs are built of: passes add activations and scatters later. Gradients are computed in f32,
 * whatever `compute` says.
 * @throws EngineError UNSUPPORTED for a fused activation or scatter, a matrix of f16, and a stack of slots that is trained as a whole
 */
export const matmulRule: GradientRule<MatmulAttributes> = (b, call) => {
  expectPlain(call);
  const dy = gradientOf(call);
  return {
    ...(call.wants("x") ? { x: inputGradient(b, call) } : {}),
    ...(call.wants("w") ? { w: matrixGradient(b, call) } : {}),
    ...(call.wants("bias") ? { bias: biasGradient(b, call) } : {}),
    ...(call.wants("residual") ? { residual: dy } : {}),
  };
};

function unsupported(message: string, where: string): EngineError {
  return new EngineError("UNSUPPORTED", `matmul: ${message}`, { where: `matmul.${where}` });
}

/** What is behind an activation is gone, and a base that was added to is no input of the product. */
function expectPlain({ attributes, inputs }: Call): void {
  const { activation } = attributes;
  if (activation !== undefined && activation !== "identity")
    throw unsupported(
      `no gradient goes back through the fused activation ${activation}; build it as an op`,
      "activation",
    );
  if (inputs.scatter !== undefined)
    throw unsupported("no gradient goes back through a fused scatter; build it as scatter-add-rows", "scatter");
}

/** The other product with the same rows of the same matrix. */
function inputGradient(b: Builder, call: Call): Ref {
  const { transposed, firstRow, rowCount, slot, slotRows } = call.attributes;
  const rows = {
    ...(firstRow === undefined ? {} : { firstRow }),
    ...(rowCount === undefined ? {} : { rowCount }),
    ...(slot === undefined ? {} : { slot }),
    ...(slotRows === undefined ? {} : { slotRows }),
  };
  const attributes: MatmulAttributes = transposed === true ? rows : { ...rows, transposed: true };
  const dx = b.op(matmul, { x: gradientOf(call), w: inputOf(call, "w") }, attributes).y as Ref;
  const { gather } = call.inputs;
  return gather === undefined ? dx : scatterRows(b, dx, gather, inputOf(call, "x"));
}

function matrixGradient(b: Builder, call: Call): Gradient {
  const dy = gradientOf(call);
  const [x, w] = [inputOf(call, "x"), inputOf(call, "w")];
  const { gather } = call.inputs;
  const gradient = (): Ref => {
    if (call.attributes.transposed !== true) return b.op(matmulWeightGradient, { dy, x, gather }, {}).dw as Ref;
    // Here the gathered matrix is the one whose columns become rows.
    const left = gather === undefined ? x : (b.op(gatherRows, { x, rows: gather }, {}).y as Ref);
    return b.op(matmulWeightGradient, { dy: left, x: dy }, {}).dw as Ref;
  };
  return placed(call, "w", gradient, w.type.shape[1] as number);
}

function biasGradient(b: Builder, call: Call): Gradient {
  const gradient = (): Ref => b.op(sumRows, { x: gradientOf(call) }, {}).y as Ref;
  return call.attributes.transposed === true ? gradient() : placed(call, "bias", gradient, 1);
}

/** The gradient of the rows of a matrix, or elements of a bias, that take part, at their place in it or in its trained slot. */
function placed(call: Call, role: string, gradient: () => Ref, width: number): Gradient {
  const { firstRow = 0, rowCount, slot, slotRows = rowCount } = call.attributes;
  const all = inputOf(call, role).type.shape[0] as number;
  const trained = call.slotOf(role);
  if (slot !== undefined && trained === null && slotRows !== all)
    throw unsupported(`of a stack of several slots one is trained at a time, and none of ${role} is named`, role);
  if (slot === undefined && (trained ?? 0) !== 0)
    throw unsupported(`slot ${trained} of ${role} is trained, and the product names no slot`, role);
  const { element } = inputOf(call, role).type;
  if (element !== "f32") throw unsupported(`a ${role} of ${element} is not trained; only f32 ones are`, role);
  const value = gradient();
  return value.type.shape[0] === all ? value : [{ at: firstRow * width, value }];
}
