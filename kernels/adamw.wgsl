// One step of AdamW over all trained elements, in place.
//
//   g = factor * gradient, brought down to the largest norm
//   m = beta1 m + (1 - beta1) g     v = beta2 v + (1 - beta2) g^2
//   w = w - rate (decay w + (m / correction1) / (sqrt(v / correction2) + epsilon))
//
// Shapes: gradient, first, second [elements], a multiple of 64; weights of any length; groups [groups, 4], of which the last two are
//   correction1 = 1 - beta1^t and correction2 = 1 - beta2^t; settings [6] = rate, beta1, beta2, epsilon, largest norm, factor. Where the norm of the gradient is not finite nothing
//   changes: the host stops, and what was trained so far is whole.
// Bindings: 8 storage buffers. Workgroup memory: none.
// Source: Loshchilov & Hutter 2019, algorithm 2, with the decay as PyTorch has it (multiplied by the learning rate). Own work.
// lib: trained-blocks

// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

const SETTINGS: u32 = 6u;

struct Params {
  items: u32, // elements / 4
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> blocks: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> norm: array<f32>;
@group(0) @binding(4) var<storage, read> settings: array<f32>;
@group(0) @binding(5) var<storage, read_write> weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> first: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> second: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i >= params.items || !is_finite(norm[0])) {
    return;
  }
  let stretch = stretch_of(i);
  if (stretch.count == 0u) {
    return;
  }
  let beta1 = settings[1];
  let beta2 = settings[2];
  let g = gradient_factor() * gradient[i];
  let m = beta1 * first[i] + (1.0 - beta1) * g;
  let v = beta2 * second[i] + (1.0 - beta2) * g * g;
  first[i] = m;
  second[i] = v;
  let step = (m / stretch.corrections.x) / (sqrt(v / stretch.corrections.y) + settings[3]);
  for (var e = 0u; e < stretch.count; e += 1u) {
    let w = weights[stretch.weight + e];
    weights[stretch.weight + e] = w - stretch.rate * (stretch.decay * w + step[e]);
  }
}
