// Gradient of the exact soft top-k (MATHS §1.3): ds_i = w_i (g_i - ḡ) / ε where w_i < 1 and 0 elsewhere, with ḡ = Σ w g / Σ w over
// the weights below 1. One workgroup per segment; k = 0 and k >= n give 0.
//
// weights [R] of the forward pass, segments [S + 1], selected_segments [S + 1] (k_s is a difference), gradient [R] -> ds [R]
// Limits: 5 storage buffers, WORKGROUP invocations, under 3 KiB of workgroup memory; any n.
// lib: workgroup-sum
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> ds: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

// Terms that are added to 0 before they are added to the rest: the roundings of long sums of like terms add up.
const RUN: u32 = 64u;

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
  let constant = k == 0u || k >= end - start;
  var own = vec2<f32>(0.0); // Σ w, Σ w g
  for (var run = start; run < end; run += RUN * WORKGROUP) {
    var part = vec2<f32>(0.0);
    for (var i = run + lane; i < min(end, run + RUN * WORKGROUP); i += WORKGROUP) {
      part += select(vec2<f32>(0.0), weights[i] * vec2<f32>(1.0, gradient[i]), weights[i] < 1.0);
    }
    own += part;
  }
  let sums = workgroup_sum(lane, own);
  // Without a weight between 0 and 1 nothing moves; the sum is only divided by.
  let mean = sums.y / max(sums.x, 1e-30);
  for (var i = start + lane; i < end; i += WORKGROUP) {
    let open = !constant && weights[i] < 1.0;
    ds[i] = select(0.0, weights[i] * (gradient[i] - mean) / params.epsilon, open);
  }
}
