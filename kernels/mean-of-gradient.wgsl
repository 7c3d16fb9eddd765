// Gradient of a mean: dx = dy scale where an element takes part, else 0; scale is 1 / their number, from the forward pass.
//
// scale [1], dy [1], labels? or targets? [items] -> dx [items]
// Bindings: 5 storage buffers. Workgroup memory: none. Own work.
// lib: taking-part score-bits
// --- parameters
const MASK: u32 = 0u; // 0 none, 1 labels, 2 targets
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> scale: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i >= params.items) {
    return;
  }
  dx[i] = select(0.0, dy[0] * scale[0], takes_part(i));
}
