// Gradient of joined rows by one of their two sources: y[i, AT + c] = Σ x[r, c] over the r with rows[r] = i, in ascending r, where
// FROM_B stands for bit 31 of rows, which is set in the entries of the second source. Columns that were not joined get zeros.
// `order` holds the places of `rows` in ascending order of its entries, so that those of i lie side by side. LANES invocations share a row.
//
// x [R, WIDTH], rows [R], order [R] -> y [targets, Y_WIDTH], the rows of the source from `first_row` on
// Bindings: 4 storage buffers. Workgroup memory: none. Own work.
// lib: item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u; // multiples of ITEM, all three
const Y_WIDTH: u32 = 8u;
const AT: u32 = 0u;
const FROM_B: bool = false;
const LANES: u32 = 4u; // invocations that share a row
const ROWS: u32 = 16u; // rows of a workgroup
// --- end parameters

struct Params {
  rows: u32, // of y
  grid_width: u32,
  entries: u32,
  first_row: u32, // of the source that y has
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<item>;
@group(0) @binding(4) var<uniform> params: Params;

const FIRST: u32 = AT / ITEM;
const ITEMS: u32 = WIDTH / ITEM; // of a row of x
const Y_ITEMS: u32 = Y_WIDTH / ITEM;

// The first place in `order` whose entry is not below a bound.
fn first_of(bound: u32) -> u32 {
  var low = 0u;
  var high = params.entries;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (rows[order[middle]] < bound) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  if (row >= params.rows) {
    return;
  }
  let entry = (row + params.first_row) | select(0u, 0x80000000u, FROM_B);
  let start = first_of(entry);
  for (var column = local % LANES; column < Y_ITEMS; column += LANES) {
    var sum = item();
    if (column >= FIRST && column - FIRST < ITEMS) {
      for (var place = start; place < params.entries; place += 1u) {
        let source = order[place];
        if (rows[source] != entry) {
          break;
        }
        sum += x[source * ITEMS + column - FIRST];
      }
    }
    y[row * Y_ITEMS + column] = sum;
  }
}
