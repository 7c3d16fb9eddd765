// Rows by index from two matrices, each from its own columns. With i = rows[r]: y[r] = a[i, A_AT ..], or where bit 31 of i is
// set y[r] = b[i without that bit, B_AT ..]. An index past the end of its source gives zeros. One workgroup per row.
//
// a [A, A_WIDTH], b [B, B_WIDTH], rows [R] -> y [R, WIDTH]
// Limits: 4 storage buffers, no workgroup memory. Own work.
// lib: item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u; // multiples of ITEM, all five
const A_WIDTH: u32 = 8u;
const B_WIDTH: u32 = 8u;
const A_AT: u32 = 0u;
const B_AT: u32 = 0u;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  a_rows: u32,
  b_rows: u32,
}

@group(0) @binding(0) var<storage, read> a: array<item>;
@group(0) @binding(1) var<storage, read> b: array<item>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<item>;
@group(0) @binding(4) var<uniform> params: Params;

const FROM_B: u32 = 0x80000000u;
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
  let entry = rows[row];
  let from_b = (entry & FROM_B) != 0u;
  let source = entry & ~FROM_B;
  for (var column = lane; column < ITEMS; column += WORKGROUP) {
    var value = item();
    if (from_b) {
      if (source < params.b_rows) {
        value = b[source * (B_WIDTH / ITEM) + B_AT / ITEM + column];
      }
    } else if (source < params.a_rows) {
      value = a[source * (A_WIDTH / ITEM) + A_AT / ITEM + column];
    }
    y[row * ITEMS + column] = value;
  }
}
