// y[r] = x[rows[r]]; an index past the end of x, such as 0xFFFFFFFF, gives the row `fill`, or zeros.
// One workgroup per row.
//
// x [A, D], rows [R], fill? [D] -> y [R, D]; of u32 x [A] -> y [R] with WIDTH 1
// lib: item-scalar|item-vec4|item-u32
// --- parameters
const WIDTH: u32 = 8u;
const HAS_FILL: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  sources: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> fill: array<item>;
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
  let source = rows[row];
  for (var column = lane; column < ITEMS; column += WORKGROUP) {
    var value = item();
    if (source < params.sources) {
      value = x[source * ITEMS + column];
    } else if (HAS_FILL) {
      value = fill[column];
    }
    y[row * ITEMS + column] = value;
  }
}
