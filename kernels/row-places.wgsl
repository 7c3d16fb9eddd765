// The place of packed rows in their segments: y[r] = rows[r] - segments[s], s being the segment of rows[r]. A row past the last
// segment, such as 0xffffffff, keeps its number.
//
// rows [R], segments [S + 1] -> y [R]
// Bindings: 3 storage buffers. Workgroup memory: none.
// Algorithm: a binary search per row. Own work.
// lib: segments
// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  segments: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> rows: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let r = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (r >= params.rows) {
    return;
  }
  let row = rows[r];
  if (row >= segments[params.segments]) {
    y[r] = row;
    return;
  }
  y[r] = row - segments[segment_of(0u, params.segments, row)];
}
