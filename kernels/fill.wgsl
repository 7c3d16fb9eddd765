// A constant in every element: y = value.
//
// Shapes: y of any shape, `items` values. The value is run-time data: another constant compiles nothing.
// Bindings: 1 storage buffer. Workgroup memory: none.
// Algorithm: one value an invocation.

// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
  value: f32,
}

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i < params.items) {
    y[i] = params.value;
  }
}
