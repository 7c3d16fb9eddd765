// Soft top-k as published (MATHS §1.3): T coordinate updates with ε-scaling, as the recurrence of lib/soft-top-k-paper.wgsl.
//
//   weights_i = min(1, exp((s_i - θ_T) / ε));   ε_1 = max(epsilon_start, ε);   ε_{t+1} = max(epsilon_decay ε_t, ε)
//
// One workgroup per segment; k = 0 gives 0, k >= n gives 1. Infinite scores count as the largest finite numbers.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference) -> weights [R]
// Limits: 4 storage buffers, WORKGROUP invocations, under 5 KiB of workgroup memory; any n.
// lib: workgroup-sum workgroup-max score-bits exp-log soft-top-k-paper soft-top-k-iterate
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
const BLOCK: u32 = 0u; // segments of at least so many rows are left to the launches by blocks; 0 for none
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
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn score_bits(i: u32) -> u32 {
  return finite_bits(scores[i]);
}

// Only a gradient has a use for the iterations.
fn keep_iteration(lane: u32, t: u32, kept: Iteration) {}

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
  let threshold = iterate(lane, start, end, k);
  let scale = 1.0 / params.epsilon;
  for (var i = start + lane; i < end; i += WORKGROUP) {
    weights[i] = paper_weight(i, threshold, scale);
  }
}
