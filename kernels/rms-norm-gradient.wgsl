// The gradient of a root-mean-square norm of rows with respect to what is normed, and what the gradient of gamma needs.
//
//   s = 1 / sqrt(mean(x^2) + EPSILON), n = x s, g = gamma dy
//   dx[r] = s (g - n mean(g n)) + residual[r],  statistics[r] = (0, s)
//
// Shapes: x, dy, residual and dx [rows, WIDTH], gamma [WIDTH], statistics [rows] pairs.
// Bindings: 6 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: one pass for both means, one that writes. Own work.
// lib: item-vec4|item-scalar row-lane|row-workgroup

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const EPSILON: f32 = 1e-6;
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

  var squares = item(0.0);
  var products = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    let v = x[start + c];
    squares += v * v;
    products += gamma[c] * dy[start + c] * v;
  }
  let scale = 1.0 / sqrt(row_sum(item_sum(squares), lane) / f32(WIDTH) + EPSILON);
  // mean(g n) s, for x stands where n = x s does.
  let along = item(row_sum(item_sum(products), lane) / f32(WIDTH) * scale * scale);
  for (var c = lane; c < end; c += LANES) {
    var v = (gamma[c] * dy[start + c] - x[start + c] * along) * scale;
    if (HAS_RESIDUAL) { v += residual[start + c]; }
    dx[start + c] = v;
  }
  if (HAS_STATISTICS && inside && lane == 0u) {
    statistics[row] = vec2<f32>(0.0, scale);
  }
}
