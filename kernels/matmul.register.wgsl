// y = act(x · Wᵀ + bias) + residual, 8x8 elements per invocation in registers: 16 vec4 loads serve 256 multiply-adds.
//
// Shapes: x [sources, K], w [N, K] (f32 or f16), K a multiple of 4, y [rows, columns]; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: none.
// Algorithm: a row of x times four rows of w as one vector-matrix product per step of 4 along K. Own work.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue activation

// --- parameters
const ACTIVATION: u32 = 0u;
const WORKGROUP: u32 = 16u;
// --- end parameters

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<weight_vec4>;

const TILE: u32 = 8u;

fn weights(at: vec4<u32>, k: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    load_weight(w[at.x + k]),
    load_weight(w[at.y + k]),
    load_weight(w[at.z + k]),
    load_weight(w[at.w + k]),
  );
}

fn weight_rows(column: u32) -> vec4<u32> {
  return vec4<u32>(weight_row(column), weight_row(column + 1u), weight_row(column + 2u), weight_row(column + 3u));
}

fn source_rows(row: u32) -> vec4<u32> {
  return vec4<u32>(source_row(row), source_row(row + 1u), source_row(row + 2u), source_row(row + 3u));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = (group.x + group.y * groups.x) * WORKGROUP + local;
  let tiles = (params.columns + TILE - 1u) / TILE;
  let first_row = tile / tiles * TILE;
  let first_column = tile % tiles * TILE;
  if (first_row >= params.rows) {
    return;
  }
  let steps = params.inner / 4u;
  let r = source_rows(first_row) * steps;
  let s = source_rows(first_row + 4u) * steps;
  let left = weight_rows(first_column) * steps;
  let right = weight_rows(first_column + 4u) * steps;
  // Two vec4 of sums a row, named one by one: an array would have to be indexed, and would not stay in registers.
  var a0 = vec4<f32>(); var b0 = vec4<f32>();
  var a1 = vec4<f32>(); var b1 = vec4<f32>();
  var a2 = vec4<f32>(); var b2 = vec4<f32>();
  var a3 = vec4<f32>(); var b3 = vec4<f32>();
  var a4 = vec4<f32>(); var b4 = vec4<f32>();
  var a5 = vec4<f32>(); var b5 = vec4<f32>();
  var a6 = vec4<f32>(); var b6 = vec4<f32>();
  var a7 = vec4<f32>(); var b7 = vec4<f32>();
  for (var k = 0u; k < steps; k += 1u) {
    let a = weights(left, k);
    let b = weights(right, k);
    let x0 = x[r.x + k]; a0 += x0 * a; b0 += x0 * b;
    let x1 = x[r.y + k]; a1 += x1 * a; b1 += x1 * b;
    let x2 = x[r.z + k]; a2 += x2 * a; b2 += x2 * b;
    let x3 = x[r.w + k]; a3 += x3 * a; b3 += x3 * b;
    let x4 = x[s.x + k]; a4 += x4 * a; b4 += x4 * b;
    let x5 = x[s.y + k]; a5 += x5 * a; b5 += x5 * b;
    let x6 = x[s.z + k]; a6 += x6 * a; b6 += x6 * b;
    let x7 = x[s.w + k]; a7 += x7 * a; b7 += x7 * b;
  }
  var sums = array<vec4<f32>, 16>(a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7);
  let last_row = min(first_row + TILE, params.rows);
  let last_column = min(first_column + TILE, params.columns);
  for (var column = first_column; column < last_column; column += 1u) {
    let shift = column_bias(column);
    let at = column - first_column;
    for (var row = first_row; row < last_row; row += 1u) {
      finish(row, column, sums[(row - first_row) * 2u + at / 4u][at % 4u], shift);
    }
  }
}
