// dw = the sum of its parts, one after another: what follows any variant that has summed the rows in parts.
//
// Shapes: partial [parts, items], dw [items]. Bindings: 2 storage buffers, 1 uniform. Workgroup memory: none. Own work.
// lib: item-scalar|item-vec4

// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32, // of dw
  parts: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> partial: array<item>;
@group(0) @binding(1) var<storage, read_write> dw: array<item>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (at >= params.items) {
    return;
  }
  var sum = partial[at];
  for (var part = 1u; part < params.parts; part += 1u) {
    sum += partial[part * params.items + at];
  }
  dw[at] = sum;
}
