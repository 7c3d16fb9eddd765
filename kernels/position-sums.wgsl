// The rows of every place summed over segments, which is the gradient of a table of positions:
//   y[p] = Σ over segments of x[start + p - position_offset], of those that have such a row, in the order of the segments
// LANES invocations share a place; each first looks which segments are so long.
//
// x [R, WIDTH], segments [S + 1] -> y [positions, WIDTH]
// Bindings: 3 storage buffers. Workgroup memory: none. Own work.
// lib: item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u; // a multiple of ITEM
const LANES: u32 = 4u; // invocations that share a row
const ROWS: u32 = 16u; // rows of a workgroup
// --- end parameters

struct Params {
  rows: u32, // positions
  grid_width: u32,
  segments: u32,
  position_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let position = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  if (position >= params.rows) {
    return;
  }
  let place = position - min(position, params.position_offset);
  var first = params.segments;
  var end = 0u;
  // Positions before the first one in use are those of no row.
  for (var s = 0u; s < params.segments && position >= params.position_offset; s += 1u) {
    if (segments[s] + place < segments[s + 1u]) {
      first = min(first, s);
      end = s + 1u;
    }
  }
  for (var column = local % LANES; column < ITEMS; column += LANES) {
    var sum = item();
    for (var s = first; s < end; s += 1u) {
      let row = segments[s] + place;
      if (row < segments[s + 1u]) {
        sum += x[row * ITEMS + column];
      }
    }
    y[position * ITEMS + column] = sum;
  }
}
