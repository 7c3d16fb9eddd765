// The product of every row with one vector, y[r] = x[r] . w, such as a router's scores, or with a row of its own, y[r] = x[r] . w[r].
//
// Shapes: x [rows, WIDTH], w [WIDTH] or [rows, WIDTH], y [rows].
// Bindings: 3 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: ITEM partial sums an invocation. Own work.
// lib: item-vec4|item-scalar row-lane|row-workgroup

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const LANES: u32 = 1u; // invocations that share a row: 1 with row-lane
const ROWS: u32 = 16u; // rows of a workgroup: 1 with row-workgroup
const PAIRED: bool = false; // w has a row for every row of x
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> w: array<item>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let row = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  let inside = row < params.rows;
  // Invocations past the last row stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, inside);
  let start = row * ITEMS;
  let start_w = select(0u, start, PAIRED);

  var sum = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    sum += x[start + c] * w[start_w + c];
  }
  let total = row_sum(item_sum(sum), lane);
  if (inside && lane == 0u) { y[row] = total; }
}
