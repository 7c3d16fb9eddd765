// dw = dyᵀ · x[gather], one column, or four neighbouring ones, of two rows of dw per invocation, all of the rows of dy or one part of
// them: the plain variant that is right for every width, and the one that the others are compared with.
//
// Shapes: dy [rows, stride], of which N columns from first_column on take part; x [sources, K]; dw [N, K] or partial [parts, N, K].
// Bindings: 5 storage buffers, 1 uniform. Workgroup memory: none. The order of a sum is that of the rows. Own work.
// lib: weight-gradient-rows item-scalar|item-vec4

// --- parameters
const PARTS: bool = false; // the rows are summed in parts, which another launch adds
const WORKGROUP: u32 = 64u;
// --- end parameters

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<item>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let place = (group.x + group.y * groups.x) * WORKGROUP + local;
  let items = params.width / ITEM;
  let row = place / items * 2u;
  let at = place % items;
  if (row >= params.height) {
    return;
  }
  // Of an odd number of rows the last one has itself for a neighbour.
  let next = min(row + 1u, params.height - 1u);
  let end = end_of(group.z);
  var sum = item();
  var next_sum = item();
  for (var r = start_of(group.z); r < end; r += 1u) {
    let source = source_of(r);
    if (source < params.sources) {
      let v = x[source * items + at];
      let dy_row = r * params.stride + params.first_column;
      sum += dy[dy_row + row] * v;
      next_sum += dy[dy_row + next] * v;
    }
  }
  store(group.z, row, at, sum);
  if (next > row) {
    store(group.z, next, at, next_sum);
  }
}
