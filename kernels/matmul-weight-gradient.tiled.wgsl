// dw = dyᵀ · x[gather], tiles of 64x64 elements by 256 invocations through workgroup memory, all of the rows of dy or one part of
// them: the variant for GPUs, which need no feature for it. Every value loaded serves 64 multiply-adds; an invocation keeps 4x4 sums.
//
// Shapes: dy [rows, stride], of which N columns from first_column on take part, any N; x [sources, K], K a multiple of 4; dw [N, K]
// or partial [parts, N, K]. Bindings: 5 storage buffers, 1 uniform. Workgroup memory: 8 KiB, 256 invocations.
// Algorithm: the classic blocked product; both tiles are stored as they lie. The order of a sum is that of the rows. Own work.
// lib: weight-gradient-rows item-vec4

// --- parameters
const PARTS: bool = false; // the rows are summed in parts, which another launch adds
// --- end parameters

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u; // rows of dy and x that a tile holds
const SIDE: u32 = 16u; // invocations along each side of the tile, and vec4 of a row of it
const LOADERS: u32 = 4u; // rows of dy that the workgroup loads at once

var<workgroup> dy_tile: array<array<f32, TILE>, DEPTH>;
var<workgroup> x_tile: array<array<vec4<f32>, SIDE>, DEPTH>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let quads = params.width / 4u;
  let across = (quads + SIDE - 1u) / SIDE;
  let tile = group.x + group.y * groups.x;
  let first_row = tile / across * TILE;
  let first_quad = tile % across * SIDE;
  // Loading: 64 neighbouring invocations read a row of the tile of dy, 16 one of x.
  let dy_step = local / TILE;
  let dy_place = local % TILE;
  let dy_column = params.first_column + min(first_row + dy_place, params.height - 1u);
  let x_step = local / SIDE;
  let quad = local % SIDE;
  let x_quad = min(first_quad + quad, quads - 1u);
  let row = local / SIDE * 4u;
  let end = end_of(group.z);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var r = start_of(group.z); r < end; r += DEPTH) {
    var dyv = vec4<f32>();
    for (var i = 0u; i < DEPTH / LOADERS; i += 1u) {
      let at = r + dy_step + i * LOADERS;
      let taken = at < end && source_of(min(at, end - 1u)) < params.sources;
      dyv[i] = select(0.0, dy[min(at, end - 1u) * params.stride + dy_column], taken);
    }
    let source = source_of(min(r + x_step, end - 1u));
    let inside = r + x_step < end && source < params.sources;
    let xv = select(vec4<f32>(), x[some_source(source) * quads + x_quad], inside);
    workgroupBarrier();
    for (var i = 0u; i < DEPTH / LOADERS; i += 1u) {
      dy_tile[dy_step + i * LOADERS][dy_place] = dyv[i];
    }
    x_tile[x_step][quad] = xv;
    workgroupBarrier();
    for (var i = 0u; i < DEPTH; i += 1u) {
      let v = x_tile[i][quad];
      s0 += dy_tile[i][row] * v;
      s1 += dy_tile[i][row + 1u] * v;
      s2 += dy_tile[i][row + 2u] * v;
      s3 += dy_tile[i][row + 3u] * v;
    }
  }
  var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
  let at = first_quad + quad;
  for (var i = 0u; i < 4u; i += 1u) {
    if (first_row + row + i < params.height && at < quads) {
      store(group.z, first_row + row + i, at, sums[i]);
    }
  }
}
