// Gradient of the published soft top-k, unrolled over its T iterations (MATHS §1.3): from ∂L/∂weights to ∂L/∂scores. One
// workgroup per segment; k = 0 and k >= n give 0.
//
//   open_1 = all (none from the start b = -s);   open_t = { i: s_i < θ_{t-1} };   p_i = exp((s_i - m_t) / ε_t) / Σ_t
//   ā_T = sum of g_i w_i / ε over { i: s_i < θ_T };   ā_{t-1} = ā_t · (share of Σ_t that is not open)
//   ds_i = (s_i < θ_T ? g_i w_i / ε : 0) - sum over t of (i in open_t ? p_i ā_t : 0)
//
// The iterations are computed again, not stored by the forward pass: they are T scalars. What is not open at t > 1 is capped at
// m_t = θ_{t-1}, each such score adds 1 to Σ_t, so every ā_t follows from the counts of the forward sweep, and the gradient takes
// one more sweep of the rows, with T exponentials a row.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference), gradient [R] -> ds [R]
// Limits: 5 storage buffers, WORKGROUP invocations, under 7 KiB of workgroup memory, T <= 64; any n.
// lib: workgroup-sum workgroup-max score-bits exp-log soft-top-k-paper soft-top-k-iterate
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
  iterations: u32,
  minus_scores: u32,
  epsilon: f32,
  epsilon_start: f32,
  epsilon_decay: f32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> ds: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

const MOST_ITERATIONS: u32 = 64u;

var<workgroup> iterations: array<Iteration, MOST_ITERATIONS>;
var<workgroup> slopes: array<f32, MOST_ITERATIONS>; // ā_t / Σ_t

fn score_bits(i: u32) -> u32 {
  return finite_bits(scores[i]);
}

fn keep_iteration(lane: u32, t: u32, kept: Iteration) {
  if (lane == 0u) {
    iterations[t] = kept;
  }
}

// g_i w_i / ε where the weight is not saturated.
fn direct(i: u32, threshold: Pair, scale: f32) -> f32 {
  let x = above(score(i), threshold);
  return select(0.0, gradient[i] * exp_negative(min(x, 0.0) * scale) * scale, x < 0.0);
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
      ds[i] = 0.0;
    }
    return;
  }

  let threshold = iterate(lane, start, end, k);
  let scale = 1.0 / params.epsilon;
  var own = 0.0;
  for (var run = start; run < end; run += RUN * WORKGROUP) {
    var part = 0.0;
    for (var i = run + lane; i < min(end, run + RUN * WORKGROUP); i += WORKGROUP) {
      part += direct(i, threshold, scale);
    }
    own += part;
  }
  var dual = workgroup_sum(lane, vec2<f32>(own, 0.0)).x;
  if (lane == 0u) {
    for (var t = params.iterations; t > 0u; t -= 1u) {
      let kept = iterations[t - 1u];
      slopes[t - 1u] = dual / kept.sum;
      dual *= max(kept.saturated, 0.0) / kept.sum;
    }
    if (params.minus_scores == 1u) {
      slopes[0] = 0.0;
    }
  }
  workgroupBarrier();

  for (var i = start + lane; i < end; i += WORKGROUP) {
    var sum = direct(i, threshold, scale);
    for (var t = params.iterations; t > 0u; t -= 1u) {
      let kept = iterations[t - 1u];
      let x = above(score(i), kept.base);
      if (kept.saturated < 0.0 || x < 0.0) {
        sum -= exp_negative(min(x, 0.0) / kept.epsilon) * slopes[t - 1u];
      }
    }
    ds[i] = sum;
  }
}
