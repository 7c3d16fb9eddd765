// The gradient of a layer norm of rows with respect to what is normed, and what the gradients of gamma and beta need.
//
//   s = 1 / sqrt(var(x) + EPSILON), n = (x - mean(x)) s, g = gamma dy
//   dx[r] = s (g - mean(g) - n mean(g n)) + residual[r],  statistics[r] = (mean(x) - x[r, 0], s)
//
// Shapes: x, dy, residual and dx [rows, WIDTH], gamma [WIDTH], statistics [rows] pairs. The variance is biased.
// Bindings: 6 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: mean; variance and the two means of g; dx. Relative to the row's first value, as layer-norm.wgsl. Own work.
// lib: item-vec4|item-scalar row-lane|row-workgroup

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const EPSILON: f32 = 1e-12;
const LANES: u32 = 1u; // invocations that share a row: 1 with row-lane
const ROWS: u32 = 16u; // rows of a workgroup: 1 with row-workgroup
const HAS_RESIDUAL: bool = true;
const HAS_STATISTICS: bool = true; // they are wanted
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> gamma: array<item>;
@group(0) @binding(2) var<storage, read> dy: array<item>;
@group(0) @binding(3) var<storage, read> residual: array<item>;
@group(0) @binding(4) var<storage, read_write> dx: array<item>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let place = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  let inside = place < params.rows;
  // Invocations past the last row stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, inside);
  let row = min(place, params.rows - 1u);
  let start = row * ITEMS;

  let first = item(item_first(x[start]));
  var sum = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    sum += x[start + c] - first;
  }
  let shift = row_sum(item_sum(sum), lane) / f32(WIDTH);
  var squares = item(0.0);
  var slopes = item(0.0);
  var products = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    let d = (x[start + c] - first) - item(shift);
    let g = gamma[c] * dy[start + c];
    squares += d * d;
    slopes += g;
    products += g * d;
  }
  let scale = 1.0 / sqrt(row_sum(item_sum(squares), lane) / f32(WIDTH) + EPSILON);
  let mean = item(row_sum(item_sum(slopes), lane) / f32(WIDTH));
  // mean(g n) s, for d stands where n = d s does.
  let along = item(row_sum(item_sum(products), lane) / f32(WIDTH) * scale * scale);
  for (var c = lane; c < end; c += LANES) {
    let d = (x[start + c] - first) - item(shift);
    var v = ((gamma[c] * dy[start + c] - mean) - d * along) * scale;
    if (HAS_RESIDUAL) { v += residual[start + c]; }
    dx[start + c] = v;
  }
  if (HAS_STATISTICS && inside && lane == 0u) {
    statistics[row] = vec2<f32>(shift, scale);
  }
}
