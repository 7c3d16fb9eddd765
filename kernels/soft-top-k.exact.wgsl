// Soft top-k solved to rounding (MATHS §1.3): weights_i = min(1, exp((s_i - θ) / ε)) with θ such that they sum to k.
// One workgroup per segment; k = 0 gives 0, k >= n gives 1.
//
// With c the k-th largest score and d = θ - c:  0 <= d <= ε ln n, for at d = 0 at least k weights are 1, and at
// d = ε ln n the n - k + 1 scores up to c add less than 1 to at most k - 1. Everything is computed relative to c, which
// is exact for scores near it; absolute scores of 1e4 and ε = 0.01 would leave f32 no digits.
//
// For p saturated weights and S the sum of the others at d, the point d + ε ln(S / (k - p)) solves the problem whose
// saturated set is fixed; it never lies below the solution, because a fixed set only overestimates the sum. So the step
// descends monotonically from the upper end, and every fourth evaluation bisects to bound the number of steps.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference) -> weights [R]
// Limits: one workgroup of WORKGROUP <= 256 invocations, under 6 KiB of workgroup memory; any n below 2^24.
// lib: workgroup-sum workgroup-scan radix-select exp-log
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// Relative change of the open weights' sum at which the root is found: a few times the rounding of that sum.
const CONVERGED: f32 = 1e-6;
const MOST_STEPS: u32 = 64u;

var<workgroup> shared_total: vec2<f32>;

fn score_bits(i: u32) -> u32 {
  return scores[i];
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

  let pivot = unsortable(radix_select(lane, start, end - start, k).key);
  let scale = 1.0 / params.epsilon;
  // d, low and high are in units of ε.
  var low = 0.0;
  var high = ln(f32(end - start));
  var d = high;
  for (var step = 1u; step <= MOST_STEPS; step += 1u) {
    var counted = vec2<f32>(0.0); // saturated weights, sum of the others
    for (var i = start + lane; i < end; i += WORKGROUP) {
      let x = (bitcast<f32>(scores[i]) - pivot) * scale - d;
      counted += select(vec2<f32>(0.0, exp_negative(min(x, 0.0))), vec2<f32>(1.0, 0.0), x >= 0.0);
    }
    let sums = workgroup_sum(lane, counted);
    if (lane == 0u) {
      shared_total = sums;
    }
    let total = workgroupUniformLoad(&shared_total);
    let open = f32(k) - total.x;
    if (open > 0.0) {
      let shift = ln(total.y / open);
      high = min(high, d + shift);
      if (abs(shift) <= CONVERGED) {
        break;
      }
      low = select(low, max(low, d), shift > 0.0);
    } else {
      low = max(low, d);
    }
    d = select(high, 0.5 * (low + high), step % 4u == 0u);
  }
  d = max(high, 0.0);

  for (var i = start + lane; i < end; i += WORKGROUP) {
    weights[i] = exp_negative(min((bitcast<f32>(scores[i]) - pivot) * scale - d, 0.0));
  }
}
