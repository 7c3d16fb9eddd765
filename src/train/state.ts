/** @file What a training must keep to go on to the same bits. */

/** A trainer's state. Everything else follows from its options. */
export interface TrainerState {
  /** Weights and the optimiser's states, f32, by the part that they belong to: `<owner>/<parameter>/<first element>/<kind>`. */
  readonly tensors: Readonly<Record<string, Float32Array>>;
  /** Updates of every part so far, by `<owner>/<parameter>/<first element>`. */
  readonly updates: Readonly<Record<string, number>>;
  /** Forward passes so far: what dropout draws follows from their number. */
  readonly passes: number;
}
