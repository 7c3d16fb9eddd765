// y[rows[r]] += weight[rows[r]] * x[r], with y a copy of base updated in place. The rows are distinct, so no two
// workgroups touch the same row; an index past the end of y, say 0xFFFFFFFF, is skipped. One workgroup per row of x.
//
// x [R, D], rows [R], weight? [B] -> y [B, D]
// lib: item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u;
const HAS_WEIGHT: bool = false; // absent: 1
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  targets: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
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
  let target_row = rows[row];
  if (target_row >= params.targets) {
    return;
  }
  var factor = 1.0;
  if (HAS_WEIGHT) {
    factor = weight[target_row];
  }
  for (var column = lane; column < ITEMS; column += WORKGROUP) {
    let at = target_row * ITEMS + column;
    y[at] = y[at] + factor * x[row * ITEMS + column];
  }
}
