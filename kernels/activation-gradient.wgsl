// The gradient of an activation function: dx = dy * act'(x).
//
// Shapes: x, dy and dx of one shape, `items` units of ITEM values each.
// Bindings: 3 storage buffers. Workgroup memory: none.
// Algorithm: lib/activation-gradient.wgsl.
// lib: activation activation-gradient item-vec4|item-scalar

// --- parameters
const KIND: u32 = 2u; // activation code
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> dy: array<item>;
@group(0) @binding(2) var<storage, read_write> dx: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i < params.items) {
    dx[i] = dy[i] * item_from_vec4(activation_slope4(KIND, item_to_vec4(x[i])));
  }
}
