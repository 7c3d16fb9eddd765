// The sum of rows, second launch: the sums of blocks added up. Zeros where there is no block.
//
// Shapes: partials [blocks, WIDTH] -> y [WIDTH]
// Bindings: 2 storage buffers. Workgroup memory: none.
// Algorithm: one item of the result an invocation. Own work.
// lib: item-vec4|item-scalar

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  blocks: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read_write> partials: array<item>;
@group(0) @binding(1) var<storage, read_write> y: array<item>;
@group(0) @binding(2) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (column >= ITEMS) {
    return;
  }
  var sum = item(0.0);
  for (var block = 0u; block < params.blocks; block += 1u) {
    sum += partials[block * ITEMS + column];
  }
  y[column] = sum;
}
