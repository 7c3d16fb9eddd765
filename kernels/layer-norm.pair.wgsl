// Layer norm with two rows per invocation: layer-norm.wgsl for software adapters. The same maths, shapes, bindings and
// bits as its variant with one row per invocation.
//
// Why: a software adapter gathers every storage load lane by lane, so a third of the time goes into gamma and beta; two
// rows share them. 512 x 768 on SwiftShader, two cores: 2.4 ms against 3.2. (A tile of rows in private arrays takes 7.)
//
//   v = x[r] + residual[r]          (one of the two read at row gather[r], zeros where that is past its end)
//   y[r] = gamma * (v - mean(v)) / sqrt(var(v) + EPSILON) + beta,  score[r] = y[r] . router
//
// Shapes: x [rows or A, WIDTH], gamma, beta and router [WIDTH], residual [rows or A, WIDTH], gather [rows] u32,
//   y [rows, WIDTH], score [rows].
// Bindings: 8 storage buffers, WebGPU's default limit. Workgroup memory: none.
// Algorithm: as layer-norm.wgsl. Own work.
// lib: item-vec4|item-scalar

// --- parameters
const WIDTH: u32 = 768u; // a multiple of ITEM
const EPSILON: f32 = 1e-12;
const ROWS: u32 = 16u; // rows of a workgroup, even
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
@group(0) @binding(2) var<storage, read> beta: array<item>;
@group(0) @binding(3) var<storage, read> residual: array<item>;
@group(0) @binding(4) var<storage, read> gather: array<u32>;
@group(0) @binding(5) var<storage, read> router: array<item>;
@group(0) @binding(6) var<storage, read_write> y: array<item>;
@group(0) @binding(7) var<storage, read_write> score: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

// Where a row is read: first items in x and in residual, and whether the gathered one of them exists.
struct Source {
  x: u32,
  residual: u32,
  known: bool,
}

fn source_of(row: u32) -> Source {
  var source = Source(row * ITEMS, row * ITEMS, true);
  if (GATHER_X || GATHER_RESIDUAL) {
    let index = gather[row];
    source.known = index < params.sources;
    let start = select(0u, index, source.known) * ITEMS;
    if (GATHER_X) { source.x = start; }
    if (GATHER_RESIDUAL) { source.residual = start; }
  }
  return source;
}

fn load(source: Source, c: u32) -> item {
  if (GATHER_X || GATHER_RESIDUAL) {
    return load_gathered(source, c);
  }
  if (HAS_RESIDUAL) {
    return x[source.x + c] + residual[source.residual + c];
  }
  return x[source.x + c];
}

fn load_gathered(source: Source, c: u32) -> item {
  var v = select(item(0.0), x[source.x + c], source.known || !GATHER_X);
  if (HAS_RESIDUAL) {
    v += select(item(0.0), residual[source.residual + c], source.known || !GATHER_RESIDUAL);
  }
  return v;
}

@compute @workgroup_size(ROWS / 2u)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row_a = (group.x + group.y * params.grid_width) * ROWS + 2u * local;
  if (row_a >= params.rows) { return; }
  // The last of an odd number of rows is its own partner and is written twice, with the same bits.
  let row_b = min(row_a + 1u, params.rows - 1u);
  let a = source_of(row_a);
  let b = source_of(row_b);
  let first_a = item(item_first(load(a, 0u)));
  let first_b = item(item_first(load(b, 0u)));

  var sum_a = item(0.0);
  var sum_b = item(0.0);
  for (var c = 0u; c < ITEMS; c += 1u) {
    sum_a += load(a, c) - first_a;
    sum_b += load(b, c) - first_b;
  }
  let mean_a = item(item_sum(sum_a) / f32(WIDTH));
  let mean_b = item(item_sum(sum_b) / f32(WIDTH));
  var squares_a = item(0.0);
  var squares_b = item(0.0);
  for (var c = 0u; c < ITEMS; c += 1u) {
    let d_a = (load(a, c) - first_a) - mean_a;
    let d_b = (load(b, c) - first_b) - mean_b;
    squares_a += d_a * d_a;
    squares_b += d_b * d_b;
  }
  let scale_a = 1.0 / sqrt(item_sum(squares_a) / f32(WIDTH) + EPSILON);
  let scale_b = 1.0 / sqrt(item_sum(squares_b) / f32(WIDTH) + EPSILON);
  var dots_a = item(0.0);
  var dots_b = item(0.0);
  for (var c = 0u; c < ITEMS; c += 1u) {
    let g = gamma[c];
    let offset = beta[c];
    let v_a = ((load(a, c) - first_a) - mean_a) * scale_a * g + offset;
    let v_b = ((load(b, c) - first_b) - mean_b) * scale_b * g + offset;
    y[row_a * ITEMS + c] = v_a;
    y[row_b * ITEMS + c] = v_b;
    if (HAS_ROUTER) {
      let w = router[c];
      dots_a += v_a * w;
      dots_b += v_b * w;
    }
  }
  if (HAS_ROUTER) {
    score[row_a] = item_sum(dots_a);
    score[row_b] = item_sum(dots_b);
  }
}
