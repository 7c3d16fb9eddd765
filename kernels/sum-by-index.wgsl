// The sums of rows that have the same index: y[b] = sum of x[r] over the rows with rows[r] = b, in ascending r.
//
// Shapes: x [rows, WIDTH], rows [rows] u32, order [rows] u32 (places of `rows` in ascending order of what they hold, equal ones in
//   their own order) -> y [targets, WIDTH]. An index past the targets, say 0xFFFFFFFF, is left out; a target without rows is 0.
// Bindings: 4 storage buffers. Workgroup memory: none.
// Algorithm: LANES invocations a target, each of which finds the target's stretch of `order` by binary search. Own work.
// lib: item-vec4|item-scalar

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const LANES: u32 = 64u; // invocations that share a target; divides WORKGROUP
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  targets: u32,
  grid_width: u32,
  first_row: u32, // of the targets that y has
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<item>;
@group(0) @binding(4) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

// The first place in `order`, from `start` on, of an index that is not below `bound`.
fn first_place(bound: u32, start: u32) -> u32 {
  var low = start;
  var high = params.rows;
  while (low < high) {
    let middle = low + (high - low) / 2u;
    if (rows[order[middle]] < bound) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (group.x + group.y * params.grid_width) * (WORKGROUP / LANES) + local / LANES;
  if (index >= params.targets) {
    return;
  }
  let first = first_place(index + params.first_row, 0u);
  let end = first_place(index + params.first_row + 1u, first);
  for (var column = local % LANES; column < ITEMS; column += LANES) {
    var sum = item(0.0);
    for (var place = first; place < end; place += 1u) {
      sum += x[order[place] * ITEMS + column];
    }
    y[index * ITEMS + column] = sum;
  }
}
