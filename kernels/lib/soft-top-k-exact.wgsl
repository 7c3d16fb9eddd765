// The exact soft top-k of a segment: weights min(1, exp((s_i - θ) / ε)) with θ such that they sum to k, 0 < k < n.
//
// With c the k-th largest score and d = (θ - c) / ε:  0 <= d <= ln n, for at d = 0 at least k weights are 1, and at d = ln n the
// n - k + 1 scores up to c add less than 1 to at most k - 1. Everything is computed relative to c, which is exact for scores
// near it; absolute scores of 1e4 and ε = 0.01 would leave f32 no digits.
//
// In u = exp(-d) the sum is concave and piecewise linear, and from u = 1 / n, where it is at most k, Newton's method ascends to
// the root without passing it: with p saturated weights and S the sum of the others, d falls by ln((k - p) / S). Of the gap
// to k and the slope, each step leaves shares that add up to at most 1, so their product falls by 4 or more. It starts below
// k n and, for a relative gap of 1e-6, need not fall below 1e-6 k / n: at most 10 + log2 n steps, 3 to 12 in practice.
//
// Needs exp-log.wgsl; the kernel defines WORKGROUP and `fn score_bits(i: u32) -> u32`, finite.

// Relative change of the open weights' sum at which the root is found: a few times the rounding of that sum.
const CONVERGED: f32 = 1e-6;
// Terms that are added to 0 before they are added to the rest: equal terms round alike, and one sum of thousands of them would
// be off by thousands of roundings.
const RUN: u32 = 64u;

fn relative_score(i: u32, pivot: f32, scale: f32) -> f32 {
  return (bitcast<f32>(score_bits(i)) - pivot) * scale;
}

// This lane's share of rows [first, last): saturated weights, sum of the others.
fn exact_sums(lane: u32, first: u32, last: u32, pivot: f32, scale: f32, d: f32) -> vec2<f32> {
  var sums = vec2<f32>(0.0);
  for (var run = first; run < last; run += RUN * WORKGROUP) {
    var part = vec2<f32>(0.0);
    for (var i = run + lane; i < min(last, run + RUN * WORKGROUP); i += WORKGROUP) {
      let x = relative_score(i, pivot, scale) - d;
      part += select(vec2<f32>(0.0, exp_negative(min(x, 0.0))), vec2<f32>(1.0, 0.0), x >= 0.0);
    }
    sums += part;
  }
  return sums;
}

struct Descent {
  d: f32,
  done: bool,
}

// The step from d, where `sums` are those of the whole segment.
fn exact_step(d: f32, sums: vec2<f32>, k: u32) -> Descent {
  let open = f32(k) - sums.x;
  if (open <= 0.0) {
    return Descent(d, true);
  }
  let shift = ln(sums.y / open);
  return Descent(max(d + min(shift, 0.0), 0.0), shift >= -CONVERGED);
}

fn exact_weight(i: u32, pivot: f32, scale: f32, d: f32) -> f32 {
  return exp_negative(min(relative_score(i, pivot, scale) - d, 0.0));
}
