/** @file Attention on the way back: one op for all that is wanted, of one matrix where q, k and v stand in one. */

import { attentionGradient } from "../attention-gradient.ts";
import type { AttentionAttributes } from "../attention.ts";
import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";

/** Of `attention`. Where q and kv are one value its gradient is that of `q`, and `kv` has none of its own. */
export const attentionRule: GradientRule<AttentionAttributes> = (b, call) => {
  const { inputs, outputs, attributes } = call;
  const packed = inputs.q === inputs.kv;
  const wants = {
    wantsQ: call.wants("q"),
    wantsKv: call.wants("kv"),
    wantsBias: call.wants("bias"),
    packed: packed && call.wants("q"),
  };
  const { dq, dkv, dbias } = b.op(
    attentionGradient,
    { ...inputs, y: outputs.y, dy: gradientOf(call) },
    { ...attributes, ...wants },
  );
  return { q: dq, kv: dkv, bias: dbias };
};
