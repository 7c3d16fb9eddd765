// Every row times its own number: y[r, c] = x[r, c] * weight[rows[r]], or weight[r] without rows; with REPEAT one row times every
// number: y[r, c] = x[0, c] * weight[r].
//
// x [R or 1, WIDTH], weight [B], rows? [R] (a row past B stands for the weight 0) -> y [R, WIDTH]
// Bindings: 4 storage buffers. Workgroup memory: none. Own work.
// lib: item-vec4|item-scalar
// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const HAS_ROWS: bool = true;
const REPEAT: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  weights: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<item>;
@group(0) @binding(4) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) {
    return;
  }
  var at = row;
  if (HAS_ROWS) {
    at = rows[row];
  }
  var factor = 0.0;
  if (at < params.weights) {
    factor = weight[at];
  }
  let source = select(row, 0u, REPEAT) * ITEMS;
  for (var column = lane; column < ITEMS; column += WORKGROUP) {
    y[row * ITEMS + column] = x[source + column] * factor;
  }
}
