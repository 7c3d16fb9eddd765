// y = act(x · W + bias) + residual, W as it stands, 8x8 elements per invocation in registers: 16 vec4 loads serve 256 multiply-adds.
//
// Shapes: x [sources, N], w [first + N or more, K] (f32 or f16), N and K multiples of 4, y [rows, K]; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: none.
// Algorithm: a row of four values of x times four rows of W, four and four columns, as vector-matrix products. Own work.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue-vec4 activation

// --- parameters
const ACTIVATION: u32 = 0u;
const WORKGROUP: u32 = 16u;
// --- end parameters

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<weight_vec4>;

const TILE: u32 = 8u;

// What four values of x multiply to give four columns, from `at` in the first of four rows of W on: a column per value of x.
fn weights(at: u32, quads: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    load_weight(w[at]),
    load_weight(w[at + quads]),
    load_weight(w[at + 2u * quads]),
    load_weight(w[at + 3u * quads]),
  );
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
  let quads = params.columns / 4u;
  let steps = params.inner / 4u;
  let r0 = source_row(first_row) * steps;
  let r1 = source_row(first_row + 1u) * steps;
  let r2 = source_row(first_row + 2u) * steps;
  let r3 = source_row(first_row + 3u) * steps;
  let r4 = source_row(first_row + 4u) * steps;
  let r5 = source_row(first_row + 5u) * steps;
  let r6 = source_row(first_row + 6u) * steps;
  let r7 = source_row(first_row + 7u) * steps;
  // Where the last tile is half a one, its second half is the first again, for sums that nobody stores.
  var left = params.first_row * quads + first_column / 4u;
  let to_right = min(first_column / 4u + 1u, quads - 1u) - first_column / 4u;
  // Two vec4 of sums a row, named one by one: an array would have to be indexed, and would not stay in registers.
  var a0 = vec4<f32>(); var b0 = vec4<f32>();
  var a1 = vec4<f32>(); var b1 = vec4<f32>();
  var a2 = vec4<f32>(); var b2 = vec4<f32>();
  var a3 = vec4<f32>(); var b3 = vec4<f32>();
  var a4 = vec4<f32>(); var b4 = vec4<f32>();
  var a5 = vec4<f32>(); var b5 = vec4<f32>();
  var a6 = vec4<f32>(); var b6 = vec4<f32>();
  var a7 = vec4<f32>(); var b7 = vec4<f32>();
  for (var n = 0u; n < steps; n += 1u) {
    let a = weights(left, quads);
    let b = weights(left + to_right, quads);
    let x0 = x[r0 + n]; a0 += a * x0; b0 += b * x0;
    let x1 = x[r1 + n]; a1 += a * x1; b1 += b * x1;
    let x2 = x[r2 + n]; a2 += a * x2; b2 += b * x2;
    let x3 = x[r3 + n]; a3 += a * x3; b3 += b * x3;
    let x4 = x[r4 + n]; a4 += a * x4; b4 += b * x4;
    let x5 = x[r5 + n]; a5 += a * x5; b5 += b * x5;
    let x6 = x[r6 + n]; a6 += a * x6; b6 += b * x6;
    let x7 = x[r7 + n]; a7 += a * x7; b7 += b * x7;
    left += 4u * quads;
  }
  var sums = array<vec4<f32>, 16>(a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7);
  let last_row = min(first_row + TILE, params.rows);
  for (var half = 0u; half < 2u; half += 1u) {
    let at = first_column / 4u + half;
    if (at < quads) {
      let shift = columns_bias(at);
      for (var row = first_row; row < last_row; row += 1u) {
        finish_columns(row, at, sums[(row - first_row) * 2u + half], shift);
      }
    }
  }
}
