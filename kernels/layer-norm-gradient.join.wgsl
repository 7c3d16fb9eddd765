// The gradients of a norm's row vectors, last launch: the sums of blocks added up. Zeros where there is no block.
//
// Shapes: partials [blocks, 2 or 1, WIDTH] -> dgamma [WIDTH], dbeta [WIDTH] (not with CENTRED false)
// Bindings: 3 storage buffers. Workgroup memory: none.
// Algorithm: one item of a result an invocation. Own work.
// lib: item-vec4|item-scalar

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const CENTRED: bool = true;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  blocks: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read_write> partials: array<item>;
@group(0) @binding(1) var<storage, read_write> dgamma: array<item>;
@group(0) @binding(2) var<storage, read_write> dbeta: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row
const RESULTS: u32 = select(ITEMS, 2u * ITEMS, CENTRED);

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let place = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (place >= RESULTS) {
    return;
  }
  var sum = item(0.0);
  for (var block = 0u; block < params.blocks; block += 1u) {
    sum += partials[block * RESULTS + place];
  }
  if (place < ITEMS) {
    dgamma[place] = sum;
  } else {
    dbeta[place - ITEMS] = sum;
  }
}
