// dw = dyᵀ · x[gather], 8x8 elements per invocation in registers, all of the rows of dy or one part of them: 4 vec4 loads serve 64
// multiply-adds.
//
// Shapes: dy [rows, stride], of which N columns from first_column on take part; x [sources, K]; dw [N, K] or partial [parts, N, K]; N,
// K, the stride and the first column are multiples of 4. Bindings: 5 storage buffers, 1 uniform. Workgroup memory: none.
// Algorithm: a sum of outer products, one for each row, in the order of the rows. Own work.
// lib: weight-gradient-rows item-vec4

// --- parameters
const PARTS: bool = false; // the rows are summed in parts, which another launch adds
const WORKGROUP: u32 = 16u;
// --- end parameters

@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;

const TILE: u32 = 8u;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = (group.x + group.y * groups.x) * WORKGROUP + local;
  let across = (params.width + TILE - 1u) / TILE;
  let first_row = tile / across * TILE;
  if (first_row >= params.height) {
    return;
  }
  let x_quads = params.width / 4u;
  let first_quad = tile % across * (TILE / 4u);
  // Where the last tile is half a one, its second half is the first again, for sums that nobody stores.
  let second_quad = min(first_quad + 1u, x_quads - 1u);
  let dy_quads = params.stride / 4u;
  let top = (params.first_column + first_row) / 4u;
  let bottom = min(top + 1u, (params.first_column + params.height) / 4u - 1u);
  let end = end_of(group.z);
  // Two vec4 of sums a row, named one by one: an array would have to be indexed, and would not stay in registers.
  var a0 = vec4<f32>(); var b0 = vec4<f32>();
  var a1 = vec4<f32>(); var b1 = vec4<f32>();
  var a2 = vec4<f32>(); var b2 = vec4<f32>();
  var a3 = vec4<f32>(); var b3 = vec4<f32>();
  var a4 = vec4<f32>(); var b4 = vec4<f32>();
  var a5 = vec4<f32>(); var b5 = vec4<f32>();
  var a6 = vec4<f32>(); var b6 = vec4<f32>();
  var a7 = vec4<f32>(); var b7 = vec4<f32>();
  for (var r = start_of(group.z); r < end; r += 1u) {
    let source = source_of(r);
    let inside = source < params.sources;
    let x_row = some_source(source) * x_quads;
    let a = select(vec4<f32>(), x[x_row + first_quad], inside);
    let b = select(vec4<f32>(), x[x_row + second_quad], inside);
    let c = select(vec4<f32>(), dy[r * dy_quads + top], inside);
    let d = select(vec4<f32>(), dy[r * dy_quads + bottom], inside);
    a0 += c.x * a; b0 += c.x * b;
    a1 += c.y * a; b1 += c.y * b;
    a2 += c.z * a; b2 += c.z * b;
    a3 += c.w * a; b3 += c.w * b;
    a4 += d.x * a; b4 += d.x * b;
    a5 += d.y * a; b5 += d.y * b;
    a6 += d.z * a; b6 += d.z * b;
    a7 += d.w * a; b7 += d.w * b;
  }
  var sums = array<vec4<f32>, 16>(a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7);
  let last_row = min(first_row + TILE, params.height);
  for (var row = first_row; row < last_row; row += 1u) {
    for (var at = first_quad; at <= second_quad; at += 1u) {
      store(group.z, row, at, sums[(row - first_row) * 2u + at - first_quad]);
    }
  }
}
