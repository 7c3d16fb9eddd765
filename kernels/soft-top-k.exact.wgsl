// Soft top-k solved to rounding (MATHS §1.3): weights_i = min(1, exp((s_i - θ) / ε)) with θ such that they sum to k, by the
// descent of lib/soft-top-k-exact.wgsl from the k-th largest score. One workgroup per segment; k = 0 gives 0, k >= n gives 1.
// Infinite scores count as the largest finite numbers.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference) -> weights [R]
// Limits: 4 storage buffers, one workgroup of WORKGROUP <= 256 invocations, under 6 KiB of workgroup memory; n below 2^24.
// lib: workgroup-sum workgroup-scan radix-select score-bits exp-log soft-top-k-exact
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
const BLOCK: u32 = 0u; // segments of at least so many rows are left to the launches by blocks; 0 for none
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

const MOST_STEPS: u32 = 40u;

var<workgroup> shared_sums: vec2<f32>;

fn score_bits(i: u32) -> u32 {
  return finite_bits(scores[i]);
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
  if (BLOCK > 0u && end - start >= BLOCK) {
    return;
  }
  if (k == 0u || k >= end - start) {
    for (var i = start + lane; i < end; i += WORKGROUP) {
      weights[i] = select(1.0, 0.0, k == 0u);
    }
    return;
  }

  let pivot = unsortable(radix_select(lane, start, end - start, k).key);
  let scale = 1.0 / params.epsilon;
  var descent = Descent(ln(f32(end - start)), false);
  for (var step = 0u; step < MOST_STEPS; step += 1u) {
    let sums = workgroup_sum(lane, exact_sums(lane, start, end, pivot, scale, descent.d));
    // Every lane has the same sums; the uniformity analysis has to be told.
    if (lane == 0u) {
      shared_sums = sums;
    }
    descent = exact_step(descent.d, workgroupUniformLoad(&shared_sums), k);
    if (descent.done) {
      break;
    }
  }
  for (var i = start + lane; i < end; i += WORKGROUP) {
    weights[i] = exact_weight(i, pivot, scale, descent.d);
  }
}
