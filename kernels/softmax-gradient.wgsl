// The gradient of the softmax of rows, from its result: dx[r] = y[r] * (dy[r] - dy[r] . y[r]).
//
// Shapes: y, dy and dx [rows, WIDTH].
// Bindings: 3 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: the product of the rows, then dx. Own work.
// lib: item-vec4|item-scalar row-lane|row-workgroup

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const LANES: u32 = 1u; // invocations that share a row: 1 with row-lane
const ROWS: u32 = 16u; // rows of a workgroup: 1 with row-workgroup
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> y: array<item>;
@group(0) @binding(1) var<storage, read> dy: array<item>;
@group(0) @binding(2) var<storage, read_write> dx: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let place = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  // Invocations past the last row stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, place < params.rows);
  let start = min(place, params.rows - 1u) * ITEMS;

  var products = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    products += y[start + c] * dy[start + c];
  }
  let mean = item(row_sum(item_sum(products), lane));
  for (var c = lane; c < end; c += LANES) {
    dx[start + c] = y[start + c] * (dy[start + c] - mean);
  }
}
