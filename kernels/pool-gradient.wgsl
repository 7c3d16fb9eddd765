// Gradient of the pooling of segments: the first or last row of a segment gets dy of it and the others zeros, or each gets dy
// divided by their number. LANES invocations share a row.
//
// dy [S, WIDTH], segments [S + 1] -> dx [rows, WIDTH]
// Bindings: 3 storage buffers. Workgroup memory: none. Own work.
// lib: segments item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u; // a multiple of ITEM
const MODE: u32 = 0u; // 0 first, 1 mean, 2 last
const LANES: u32 = 4u; // invocations that share a row
const ROWS: u32 = 16u; // rows of a workgroup
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
  segments: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<item>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  if (row >= params.rows) {
    return;
  }
  let segment = segment_of(0u, params.segments, row);
  let start = segments[segment];
  let end = segments[segment + 1u];
  let chosen = select(start, end - 1u, MODE == 2u);
  for (var column = local % LANES; column < ITEMS; column += LANES) {
    var value = item();
    if (MODE == 1u) {
      value = dy[segment * ITEMS + column] / f32(end - start);
    } else if (row == chosen) {
      value = dy[segment * ITEMS + column];
    }
    dx[row * ITEMS + column] = value;
  }
}
