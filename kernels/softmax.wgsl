// Softmax of rows: y[r, c] = exp(x[r, c] - max_c x[r, c]) / sum_c exp(x[r, c] - max_c x[r, c]).
//
// Shapes: x and y [rows, WIDTH]. Entries of -inf give 0; a row of nothing else has no softmax.
// Bindings: 2 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: maximum; exponentials, kept in y, and their sum; scaling of y. Own work.
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

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read_write> y: array<item>;
@group(0) @binding(2) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let place = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  // Invocations past the last row stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, place < params.rows);
  let start = min(place, params.rows - 1u) * ITEMS;

  var largest = x[start];
  for (var c = lane; c < end; c += LANES) {
    largest = max(largest, x[start + c]);
  }
  let shift = item(row_max(item_max(largest), lane));
  var sum = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    let e = exp(x[start + c] - shift);
    y[start + c] = e;
    sum += e;
  }
  let total = row_sum(item_sum(sum), lane);
  for (var c = lane; c < end; c += LANES) {
    y[start + c] = y[start + c] / total;
  }
}
