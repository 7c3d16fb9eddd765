// Dropout: y[i] = 0 with the probability p, else x[i] / (1 - p). Element i stays where word i mod 4 of
//   philox4x32-10(counter = (i / 4, step, 0, 0), key = (seed, stream))
// is at least the threshold round(2^32 p), so that the choice depends on seed, step, stream and i alone.
//
// x [n], seed [2] = (seed, step) -> y [n]
// Bindings: 3 storage buffers. Workgroup memory: none.
// Algorithm: one invocation for four elements, which share a call of the generator (lib/philox.wgsl). Own work.
// lib: item-vec4|item-scalar philox
// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32, // n / ITEM
  grid_width: u32,
  stream: u32,
  threshold: u32,
  scale: f32, // 1 / (1 - p)
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> seed: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

const EACH: u32 = 4u / ITEM; // items of an invocation

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let four = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (four * EACH >= params.items) {
    return;
  }
  let bits = philox(vec4<u32>(four, seed[1], 0u, 0u), vec2<u32>(seed[0], params.stream));
  let factors = select(vec4<f32>(), vec4<f32>(params.scale), bits >= vec4<u32>(params.threshold));
  for (var i = 0u; i < min(EACH, params.items - four * EACH); i += 1u) {
    let factor = item_from_vec4(select(vec4<f32>(factors[i]), factors, ITEM == 4u));
    y[four * EACH + i] = x[four * EACH + i] * factor;
  }
}
