// The published soft top-k of a segment, 0 < k < n, as a recurrence of one scalar θ = -a (MATHS §1.3):
//
//   θ_0 = max s;   m_t = min(max s, θ_{t-1});   Σ_t = sum_i exp(min(s_i - m_t, 0) / ε_t);   θ_t = m_t - ε_t ln(k / Σ_t)
//   weights_i = min(1, exp((s_i - θ_T) / ε))
//
// The first iteration has z = s, and max z_t = m_t, so nothing overflows and Σ_t >= 1. θ is kept as an unevaluated sum
// high + low: s - high is exact where s is near θ, so that weights keep their digits for scores of any magnitude.
//
// Needs exp-log.wgsl; the kernel defines WORKGROUP and `fn score_bits(i: u32) -> u32`, finite.

struct Pair {
  high: f32,
  low: f32,
}

// Terms that are added to 0 before they are added to the rest: equal terms round alike, and one sum of thousands of them would
// be off by thousands of roundings.
const RUN: u32 = 64u;

// high + low + x, renormalised. The mask hides the rounded sum from compilers that would cancel the error term.
fn add(pair: Pair, x: f32) -> Pair {
  let y = pair.low + x;
  let sum = bitcast<f32>(bitcast<u32>(pair.high + y) & 0xfffffffeu);
  if (abs(pair.high) >= abs(y)) {
    return Pair(sum, (pair.high - sum) + y);
  }
  return Pair(sum, (y - sum) + pair.high);
}

fn score(i: u32) -> f32 {
  return bitcast<f32>(score_bits(i));
}

fn above(value: f32, pair: Pair) -> f32 {
  return (value - pair.high) - pair.low;
}

// m_t of θ_{t-1}.
fn capped(largest: f32, threshold: Pair) -> Pair {
  if (above(largest, threshold) < 0.0) {
    return Pair(largest, 0.0);
  }
  return threshold;
}

// The largest of this lane's scores among rows [first, last), which are not empty.
fn lane_largest(lane: u32, first: u32, last: u32) -> f32 {
  var largest = score(first);
  for (var i = first + lane; i < last; i += WORKGROUP) {
    largest = max(largest, score(i));
  }
  return largest;
}

// This lane's share of Σ_t over rows [first, last), and of how many scores are at least m_t.
fn paper_sums(lane: u32, first: u32, last: u32, base: Pair, scale: f32) -> vec2<f32> {
  var sums = vec2<f32>(0.0);
  for (var run = first; run < last; run += RUN * WORKGROUP) {
    var part = vec2<f32>(0.0);
    for (var i = run + lane; i < min(last, run + RUN * WORKGROUP); i += WORKGROUP) {
      let x = above(score(i), base);
      part += vec2<f32>(exp_negative(min(x, 0.0) * scale), select(0.0, 1.0, x >= 0.0));
    }
    sums += part;
  }
  return sums;
}

// θ_t.
fn moved(base: Pair, epsilon: f32, sum: f32, k: u32) -> Pair {
  return add(base, epsilon * ln(sum / f32(k)));
}

fn paper_weight(i: u32, threshold: Pair, scale: f32) -> f32 {
  return exp_negative(min(above(score(i), threshold), 0.0) * scale);
}
