// The gradients of a norm's row vectors, first launch after that of the rows: sums over blocks of rows.
//
//   n[r] = (x[r] - x[r, 0] - shift) scale, or x[r] scale with CENTRED false, (shift, scale) = statistics[r]
//   partials[b, 0] = sum of dy[r] n[r], partials[b, 1] = sum of dy[r], over the BLOCK rows from b BLOCK on
//
// Shapes: x and dy [rows, WIDTH], statistics [rows] pairs -> partials [ceil(rows / BLOCK), 2 or 1, WIDTH].
// Bindings: 4 storage buffers. Workgroup memory: none.
// Algorithm: one item of a block an invocation, neighbours side by side. Own work.
// lib: item-vec4|item-scalar

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const BLOCK: u32 = 64u;
const CENTRED: bool = true; // false: rms-norm, which has no mean and no beta
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> dy: array<item>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> partials: array<item>;
@group(0) @binding(4) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let place = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  let block = place / ITEMS;
  let first_row = block * BLOCK;
  if (first_row >= params.rows) {
    return;
  }
  let column = place % ITEMS;
  let end = min(first_row + BLOCK, params.rows);
  var products = item(0.0);
  var slopes = item(0.0);
  for (var row = first_row; row < end; row += 1u) {
    let start = row * ITEMS;
    let statistic = statistics[row];
    let slope = dy[start + column];
    var v = x[start + column];
    if (CENTRED) {
      v = (v - item(item_first(x[start]))) - item(statistic.x);
    }
    products += slope * (v * statistic.y);
    slopes += slope;
  }
  if (CENTRED) {
    partials[2u * block * ITEMS + column] = products;
    partials[(2u * block + 1u) * ITEMS + column] = slopes;
  } else {
    partials[place] = products;
  }
}
