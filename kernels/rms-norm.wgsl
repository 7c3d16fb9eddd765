// Root-mean-square norm of rows (T5), with an optional residual, an optional gather and an optional router score.
//
//   v = x[r] + residual[r]          (one of the two read at row gather[r], zeros where that is past its end)
//   y[r] = gamma * v / sqrt(mean(v^2) + EPSILON),  score[r] = y[r] . router
//
// Shapes: x [rows or A, WIDTH], gamma and router [WIDTH], residual [rows or A, WIDTH], gather [rows] u32,
//   y [rows, WIDTH], score [rows].
// Bindings: 7 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: one pass for the mean square, one that writes. Own work.
// lib: item-vec4|item-scalar row-lane|row-workgroup

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const EPSILON: f32 = 1e-6;
const LANES: u32 = 1u; // invocations that share a row: 1 with row-lane
const ROWS: u32 = 16u; // rows of a workgroup: 1 with row-workgroup
const HAS_RESIDUAL: bool = true;
const GATHER_X: bool = false;
const GATHER_RESIDUAL: bool = false;
const HAS_ROUTER: bool = true;
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
  sources: u32, // rows of the matrix that is read through gather
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> gamma: array<item>;
@group(0) @binding(2) var<storage, read> residual: array<item>;
@group(0) @binding(3) var<storage, read> gather: array<u32>;
@group(0) @binding(4) var<storage, read> router: array<item>;
@group(0) @binding(5) var<storage, read_write> y: array<item>;
@group(0) @binding(6) var<storage, read_write> score: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

fn load(x_start: u32, residual_start: u32, c: u32, known: bool) -> item {
  if (GATHER_X || GATHER_RESIDUAL) {
    return load_gathered(x_start, residual_start, c, known);
  }
  if (HAS_RESIDUAL) {
    return x[x_start + c] + residual[residual_start + c];
  }
  return x[x_start + c];
}

fn load_gathered(x_start: u32, residual_start: u32, c: u32, known: bool) -> item {
  var v = select(item(0.0), x[x_start + c], known || !GATHER_X);
  if (HAS_RESIDUAL) {
    v += select(item(0.0), residual[residual_start + c], known || !GATHER_RESIDUAL);
  }
  return v;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let place = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  let inside = place < params.rows;
  // Invocations past the last row stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, inside);
  let row = min(place, params.rows - 1u);
  var source = row;
  if (GATHER_X || GATHER_RESIDUAL) { source = gather[row]; }
  let known = source < params.sources;
  source = select(0u, source, known);
  let x_start = select(row, source, GATHER_X) * ITEMS;
  let residual_start = select(row, source, GATHER_RESIDUAL) * ITEMS;

  var squares = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    let v = load(x_start, residual_start, c, known);
    squares += v * v;
  }
  let scale = 1.0 / sqrt(row_sum(item_sum(squares), lane) / f32(WIDTH) + EPSILON);
  var dots = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    let v = load(x_start, residual_start, c, known) * scale * gamma[c];
    y[row * ITEMS + c] = v;
    if (HAS_ROUTER) { dots += v * router[c]; }
  }
  if (HAS_ROUTER) {
    let dot_product = row_sum(item_sum(dots), lane);
    if (inside && lane == 0u) { score[row] = dot_product; }
  }
}
