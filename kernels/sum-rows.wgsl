// The sum of rows, each with a factor of its own or none: first launch, the sums of blocks of rows.
//
//   partials[b] = sum of weight[r] * x[r] over the BLOCK rows from b BLOCK on
//
// Shapes: x [rows, WIDTH], weight [rows] -> partials [ceil(rows / BLOCK), WIDTH]. The last block may be shorter.
// Bindings: 3 storage buffers. Workgroup memory: none.
// Algorithm: one item of a block an invocation, neighbours side by side. Own work.
// lib: item-vec4|item-scalar

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const BLOCK: u32 = 64u;
const HAS_WEIGHT: bool = false; // absent: 1
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let place = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  let first = place / ITEMS * BLOCK;
  if (first >= params.rows) {
    return;
  }
  let column = place % ITEMS;
  let end = min(first + BLOCK, params.rows);
  var sum = item(0.0);
  for (var row = first; row < end; row += 1u) {
    let value = x[row * ITEMS + column];
    if (HAS_WEIGHT) {
      sum += weight[row] * value;
    } else {
      sum += value;
    }
  }
  partials[place] = sum;
}
