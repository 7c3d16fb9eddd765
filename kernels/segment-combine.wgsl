// Two matrices combined by a weight per segment and group of columns, w = weight[s, c / (WIDTH / GROUPS)]:
// y = a + w b (0 for an absent a), or with CHOOSE y = b where w > 0.5, else a; then the other value is not even read.
// One workgroup per row, so that its segment is searched once a row.
//
// a?, b [R, WIDTH], weight [S, GROUPS], segments [S + 1] -> y [R, WIDTH]
// Limits: 5 storage buffers, no workgroup memory. Own work.
// lib: segments item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u;
const GROUPS: u32 = 1u; // WIDTH / GROUPS is a multiple of ITEM
const CHOOSE: bool = false;
const HAS_A: bool = true;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  segments: u32,
}

@group(0) @binding(0) var<storage, read> a: array<item>;
@group(0) @binding(1) var<storage, read> b: array<item>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> segments: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<item>;
@group(0) @binding(5) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

const ITEMS: u32 = WIDTH / ITEM; // of a row
const GROUP_ITEMS: u32 = ITEMS / GROUPS;

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
  let weights = segment_of(0u, params.segments, row) * GROUPS;
  for (var column = lane; column < ITEMS; column += WORKGROUP) {
    let at = row * ITEMS + column;
    let w = weight[weights + column / GROUP_ITEMS];
    var value = item();
    if (CHOOSE) {
      // Not a select: a NaN of the value not chosen stays where it is.
      if (w > 0.5) {
        value = b[at];
      } else {
        value = a[at];
      }
    } else {
      value = w * b[at];
      if (HAS_A) {
        value += a[at];
      }
    }
    y[at] = value;
  }
}
