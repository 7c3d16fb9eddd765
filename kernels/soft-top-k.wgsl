// Soft top-k as published (MATHS §1.3): T coordinate updates with ε-scaling, one workgroup per segment.
//
//   θ_0 = max s;   m_t = min(max s, θ_{t-1});   Σ_t = sum_i exp(min(s_i - m_t, 0) / ε_t)
//   θ_t = m_t - ε_t ln(k / Σ_t);   weights_i = min(1, exp((s_i - θ_T) / ε))
//   ε_1 = max(epsilon_start, ε);   ε_{t+1} = max(decay * ε_t, ε);   k = 0 gives 0, k >= n gives 1
//
// This is the scalar recurrence of MATHS with θ = -a: one sum an iteration, no vector of duals. The first iteration has
// z = s, and max z_t = m_t, so nothing overflows and Σ_t >= 1. θ is kept as an unevaluated sum high + low: s - high is
// exact where s is near θ, so that weights keep their digits for scores of any magnitude.
//
// scores [R], segments [S + 1], selected_segments [S + 1] (k_s is a difference) -> weights [R]
// Limits: one workgroup of WORKGROUP invocations, 8 * WORKGROUP + 8 * GROUP bytes of workgroup memory; any n.
// lib: workgroup-sum exp-log
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
  iterations: u32,
  epsilon: f32,
  epsilon_start: f32,
  epsilon_decay: f32,
}

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> max_items: array<f32, WORKGROUP>;

struct Pair {
  high: f32,
  low: f32,
}

// high + low + x, renormalised. The mask hides the rounded sum from compilers that would cancel the error term.
fn add(pair: Pair, x: f32) -> Pair {
  let y = pair.low + x;
  let sum = bitcast<f32>(bitcast<u32>(pair.high + y) & 0xfffffffeu);
  if (abs(pair.high) >= abs(y)) {
    return Pair(sum, (pair.high - sum) + y);
  }
  return Pair(sum, (y - sum) + pair.high);
}

fn above(score: f32, pair: Pair) -> f32 {
  return (score - pair.high) - pair.low;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = group.x + group.y * groups.x;
  if (segment >= params.segments) {
    return;
  }
  let start = segments[segment];
  let end = segments[segment + 1u];
  let k = selected_segments[segment + 1u] - selected_segments[segment];
  if (k == 0u || k >= end - start) {
    for (var i = start + lane; i < end; i += WORKGROUP) {
      weights[i] = select(1.0, 0.0, k == 0u);
    }
    return;
  }

  var own = scores[start];
  for (var i = start + lane; i < end; i += WORKGROUP) {
    own = max(own, scores[i]);
  }
  max_items[lane] = own;
  workgroupBarrier();
  var largest = own;
  for (var i = 0u; i < WORKGROUP; i += 1u) {
    largest = max(largest, max_items[i]);
  }

  var threshold = Pair(largest, 0.0);
  var epsilon = max(params.epsilon_start, params.epsilon);
  for (var step = 0u; step < params.iterations; step += 1u) {
    if (above(largest, threshold) < 0.0) {
      threshold = Pair(largest, 0.0);
    }
    let scale = 1.0 / epsilon;
    var sum = 0.0;
    for (var i = start + lane; i < end; i += WORKGROUP) {
      sum += exp_negative(min(above(scores[i], threshold), 0.0) * scale);
    }
    let total = workgroup_sum(lane, vec2<f32>(sum, 0.0)).x;
    threshold = add(threshold, epsilon * ln(total / f32(k)));
    epsilon = max(epsilon * params.epsilon_decay, params.epsilon);
  }

  let scale = 1.0 / params.epsilon;
  for (var i = start + lane; i < end; i += WORKGROUP) {
    weights[i] = exp_negative(min(above(scores[i], threshold), 0.0) * scale);
  }
}
