// y = act(x · Wᵀ + bias) + residual, tiles of 64x64 elements by 256 invocations through workgroup memory: the variant for
// GPUs, which need no feature for it. Every value loaded serves 64 multiply-adds; an invocation keeps 4x4 sums.
//
// Shapes: x [sources, K], w [N, K] (f32 or f16), K a multiple of 4, y [rows, columns]; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: 8 KiB, 256 invocations.
// Algorithm: the classic blocked product; both tiles are stored with K outermost, so that the inner loop reads vec4.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue activation

// --- parameters
const ACTIVATION: u32 = 0u;
// --- end parameters

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<weight_vec4>;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u; // elements along K that a tile holds: 4 vec4, so that 256 invocations load one vec4 each
const SIDE: u32 = 16u; // invocations along each side of the tile

var<workgroup> x_tile: array<array<f32, TILE>, DEPTH>;
var<workgroup> w_tile: array<array<f32, TILE>, DEPTH>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = group.x + group.y * groups.x;
  let tiles = (params.columns + TILE - 1u) / TILE;
  let first_row = tile / tiles * TILE;
  let first_column = tile % tiles * TILE;
  let steps = params.inner / 4u;
  // Loading: 4 neighbouring invocations read 16 neighbouring elements of one row.
  let own = local / 4u;
  let part = local % 4u;
  let left = source_row(first_row + own) * steps;
  let right = weight_row(first_column + own) * steps;
  let row = local / SIDE * 4u;
  let column = local % SIDE * 4u;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var k = 0u; k < steps; k += DEPTH / 4u) {
    let inside = k + part < steps;
    let step = min(k + part, steps - 1u);
    let xv = select(vec4<f32>(), x[left + step], inside);
    let wv = select(vec4<f32>(), load_weight(w[right + step]), inside);
    workgroupBarrier();
    for (var i = 0u; i < 4u; i += 1u) {
      x_tile[part * 4u + i][own] = xv[i];
      w_tile[part * 4u + i][own] = wv[i];
    }
    workgroupBarrier();
    for (var i = 0u; i < DEPTH; i += 1u) {
      let v = vec4<f32>(w_tile[i][column], w_tile[i][column + 1u], w_tile[i][column + 2u], w_tile[i][column + 3u]);
      s0 += x_tile[i][row] * v;
      s1 += x_tile[i][row + 1u] * v;
      s2 += x_tile[i][row + 2u] * v;
      s3 += x_tile[i][row + 3u] * v;
    }
  }
  var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
  for (var i = 0u; i < 16u; i += 1u) {
    let to_row = first_row + row + i / 4u;
    let to_column = first_column + column + i % 4u;
    if (to_row < params.rows && to_column < params.columns) {
      finish(to_row, to_column, sums[i / 4u][i % 4u], column_bias(to_column));
    }
  }
}
