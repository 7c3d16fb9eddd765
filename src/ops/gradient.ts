/**
 * @file The contract of gradient rules: how the gradient of a loss goes back through one use of an op, as graph values. Rules stand
 * in `gradients/`, one file an op, and not in the ops' own files: gather and scatter are each other's transpose, and would import
 * each other.
 */

import type { Attributes, Op, Shape, TensorType } from "./op.ts";

/** A graph value, as far as rules look at it. */
export interface Ref {
  readonly type: TensorType;
}

/** What rules build with; the graph's builder is one. */
export interface Builder {
  op<A>(op: Op<A>, inputs: Readonly<Record<string, Ref | undefined>>, attributes: A): Readonly<Record<string, Ref>>;
  reshape(x: Ref, shape: Shape): Ref;
  /**
   * The places of a run-time table of indices in ascending order of what they hold, equal ones in their own order: u32, of the
   * table's shape. The host sorts.
   * @throws EngineError UNSUPPORTED for indices that the device finds
   */
  order(index: Ref): Ref;
  /** Whether the host gives these indices, so that {@link Builder.order} knows them. The device's own are distinct. */
  given(index: Ref): boolean;
}

/** The gradient of a stretch of a parameter's elements; the other elements have none. */
export interface GradientPart {
  /** The first element, counted from the start of the parameter, or of the trained slot of a stack of slots. */
  readonly at: number;
  readonly value: Ref;
}

/** ∂L/∂input: a value of the input's shape, or of a parameter only the parts that have one. */
export type Gradient = Ref | readonly GradientPart[];

/** One use of an op on the way back. */
export interface BackwardCall<A = Attributes> {
  readonly inputs: Readonly<Record<string, Ref>>;
  readonly outputs: Readonly<Record<string, Ref>>;
  readonly attributes: A;
  /** ∂L/∂output by name, of the output's shape; absent where L does not depend on it. At least one is there. */
  readonly gradients: Readonly<Record<string, Ref>>;
  /** Whether ∂L/∂input is needed; asked before anything is built for it. */
  readonly wants: (input: string) => boolean;
  /** The slot that is trained of an input that is a stack of slots; null where all of it is. */
  readonly slotOf: (input: string) => number | null;
  /** How many rows of axis 0 a slot of such an input has; 1 where the axis counts slots. */
  readonly slotRows: (input: string) => number;
}

/**
 * Builds ∂L/∂input of the inputs that are wanted, by name. An input without an entry has no gradient: indices, and what the op is
 * constant in.
 */
export type GradientRule<A = Attributes> = (
  b: Builder,
  call: BackwardCall<A>,
) => Readonly<Record<string, Gradient | undefined>>;

/** @returns the gradient of an output that must be there, since it is the only one. */
export function gradientOf({ gradients }: Pick<BackwardCall, "gradients">, output = "y"): Ref {
  return gradients[output] as Ref;
}

/** @returns an input that the op requires. */
export function inputOf({ inputs }: Pick<BackwardCall, "inputs">, name: string): Ref {
  return inputs[name] as Ref;
}
