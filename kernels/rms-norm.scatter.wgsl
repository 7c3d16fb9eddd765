// Root-mean-square norm of selected rows, written back through the selection: see layer-norm.scatter.wgsl.
//
//   v = x[r] + residual[r],  s = scatter[r]
//   y[s] += weight[s] * (gamma * v / sqrt(mean(v^2) + EPSILON) - origin[s])
//
// Shapes: x and residual [rows, WIDTH], gamma [WIDTH], scatter [rows] u32 (distinct, past y: skipped), weight [B],
//   origin and y [B, WIDTH]; y holds the base before. Without weight it is 1, without origin 0.
// Bindings: 7 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: as rms-norm.wgsl. Own work.
// lib: item-vec4|item-scalar row-lane|row-workgroup

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const EPSILON: f32 = 1e-6;
const LANES: u32 = 1u; // invocations that share a row: 1 with row-lane
const ROWS: u32 = 16u; // rows of a workgroup: 1 with row-workgroup
const HAS_RESIDUAL: bool = true;
const HAS_WEIGHT: bool = true;
const HAS_ORIGIN: bool = true;
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
  targets: u32, // rows of y
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> gamma: array<item>;
@group(0) @binding(2) var<storage, read> residual: array<item>;
@group(0) @binding(3) var<storage, read> scatter: array<u32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> origin: array<item>;
@group(0) @binding(6) var<storage, read_write> y: array<item>;
@group(0) @binding(7) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

fn load(start: u32, c: u32) -> item {
  if (HAS_RESIDUAL) {
    return x[start + c] + residual[start + c];
  }
  return x[start + c];
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let place = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  // Invocations past the last row stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, place < params.rows);
  let row = min(place, params.rows - 1u);
  let start = row * ITEMS;

  var squares = item(0.0);
  for (var c = lane; c < end; c += LANES) {
    let v = load(start, c);
    squares += v * v;
  }
  let scale = 1.0 / sqrt(row_sum(item_sum(squares), lane) / f32(WIDTH) + EPSILON);
  let skipped = scatter[row] >= params.targets;
  let goal = select(scatter[row], 0u, skipped);
  var factor = 1.0;
  if (HAS_WEIGHT) { factor = weight[goal]; }
  let stop = select(end, 0u, skipped);
  for (var c = lane; c < stop; c += LANES) {
    var v = load(start, c) * scale * gamma[c];
    if (HAS_ORIGIN) { v -= origin[goal * ITEMS + c]; }
    y[goal * ITEMS + c] += factor * v;
  }
}
