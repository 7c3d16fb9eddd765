// A scale and a shift per column: y[r, c] = residual[r, c] + x[r, c] * scale[c] + shift[c], read from the slot of a bank that
// the row's segment names. A segment without a slot: y = residual, or x where there is no residual.
// One workgroup per row, so that its segment is searched once a row.
//
// x, residual? [R, WIDTH], bank [slots, STRIDE] (scales from SCALE_AT, shifts from SHIFT_AT), segments [S + 1],
// segment_slots [S], 0xffffffff for none -> y [R, WIDTH]
// Limits: 6 storage buffers, no workgroup memory. Own work.
// lib: segments item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u;
const STRIDE: u32 = 16u; // elements of a slot
const SCALE_AT: u32 = 0u; // multiples of ITEM, as WIDTH and STRIDE
const SHIFT_AT: u32 = 8u;
const HAS_SCALE: bool = true;
const HAS_SHIFT: bool = true;
const HAS_RESIDUAL: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  segments: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> residual: array<item>;
@group(0) @binding(2) var<storage, read> bank: array<item>;
@group(0) @binding(3) var<storage, read> segments: array<u32>;
@group(0) @binding(4) var<storage, read> segment_slots: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<item>;
@group(0) @binding(6) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

const NO_SLOT: u32 = 0xffffffffu;
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
  let slot = segment_slots[segment_of(0u, params.segments, row)];
  let start = slot * (STRIDE / ITEM);
  for (var column = lane; column < ITEMS; column += WORKGROUP) {
    let at = row * ITEMS + column;
    var value = item();
    if (HAS_RESIDUAL) {
      value = residual[at];
    }
    if (slot != NO_SLOT) {
      var change = x[at];
      if (HAS_SCALE) {
        change *= bank[start + SCALE_AT / ITEM + column];
      }
      if (HAS_SHIFT) {
        change += bank[start + SHIFT_AT / ITEM + column];
      }
      value += change;
    } else if (!HAS_RESIDUAL) {
      value = x[at];
    }
    y[at] = value;
  }
}
