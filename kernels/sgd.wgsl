// One step of stochastic gradient descent with momentum over all trained elements, in place.
//
//   g = factor * gradient, brought down to the largest norm, + decay w
//   m = momentum m + g     w = w - rate m
//
// Shapes: gradient, first [elements], a multiple of 64; weights of any length; settings [4] = rate, momentum, largest norm, factor.
//   Where the norm of the gradient is not finite nothing changes.
// Bindings: 7 storage buffers. Workgroup memory: none.
// Source: PyTorch's SGD without dampening. Own work.
// lib: trained-blocks

// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

const SETTINGS: u32 = 4u;

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
@group(0) @binding(7) var<uniform> params: Params;

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
  let g = gradient_factor() * gradient[i];
  var m = settings[1] * first[i] + g;
  for (var e = 0u; e < stretch.count; e += 1u) {
    let w = weights[stretch.weight + e];
    m[e] += stretch.decay * w;
    weights[stretch.weight + e] = w - stretch.rate * m[e];
  }
  first[i] = m;
}
