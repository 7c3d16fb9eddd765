// y = act(x · W + bias) + residual, W as it stands, tiles of 64x64 elements by 256 invocations through workgroup memory: the variant
// for GPUs, which need no feature for it. Every value loaded serves 64 multiply-adds; an invocation keeps 4x4 sums.
//
// Shapes: x [sources, N] with any N, w [first + N or more, K] (f32 or f16), K a multiple of 4, y [rows, K]; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: 8 KiB, 256 invocations.
// Algorithm: the classic blocked product. A tile of W is stored as it lies, one of x with N outermost. Own work.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue-vec4 activation

// --- parameters
const ACTIVATION: u32 = 0u;
// --- end parameters

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<weight_vec4>;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u; // rows of W that a tile holds
const SIDE: u32 = 16u; // invocations along each side of the tile, and vec4 of a row of it
const SHARE: u32 = 4u; // elements of x that an invocation loads

var<workgroup> x_tile: array<array<f32, TILE>, DEPTH>;
var<workgroup> w_tile: array<array<vec4<f32>, SIDE>, DEPTH>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = group.x + group.y * groups.x;
  let quads = params.columns / 4u;
  let tiles = (quads + SIDE - 1u) / SIDE;
  let first_row = tile / tiles * TILE;
  let first_quad = tile % tiles * SIDE;
  // Loading: 4 neighbouring invocations read 16 neighbouring elements of a row of x, 16 read a row of the tile of W.
  let own = local / SHARE;
  let part = local % SHARE * SHARE;
  let left = source_row(first_row + own) * params.inner;
  let step = local / SIDE;
  let right = min(first_quad + local % SIDE, quads - 1u);
  let row = local / SIDE * 4u;
  let quad = local % SIDE;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var n = 0u; n < params.inner; n += DEPTH) {
    var xv = vec4<f32>();
    for (var i = 0u; i < SHARE; i += 1u) {
      let at = n + part + i;
      xv[i] = select(0.0, x[left + min(at, params.inner - 1u)], at < params.inner);
    }
    let own_step = min(n + step, params.inner - 1u);
    let wv = select(vec4<f32>(), load_weight(w[(params.first_row + own_step) * quads + right]), n + step < params.inner);
    workgroupBarrier();
    for (var i = 0u; i < SHARE; i += 1u) {
      x_tile[part + i][own] = xv[i];
    }
    w_tile[step][quad] = wv;
    workgroupBarrier();
    for (var i = 0u; i < DEPTH; i += 1u) {
      let v = w_tile[i][quad];
      s0 += x_tile[i][row] * v;
      s1 += x_tile[i][row + 1u] * v;
      s2 += x_tile[i][row + 2u] * v;
      s3 += x_tile[i][row + 3u] * v;
    }
  }
  var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
  let at = first_quad + quad;
  if (at >= quads) {
    return;
  }
  let shift = columns_bias(at);
  for (var i = 0u; i < 4u; i += 1u) {
    if (first_row + row + i < params.rows) {
      finish_columns(first_row + row + i, at, sums[i], shift);
    }
  }
}
