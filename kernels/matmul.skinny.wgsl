// y = act(x · Wᵀ + bias) + residual for few rows, where reading W is the cost: every weight is read once for 4 rows, and
// LANES invocations share the sum of one column so that a GPU has enough of them in flight.
//
// Shapes: x [sources, K], w [N, K] (f32 or f16), K a multiple of 4, y [rows, columns]; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: 16 WORKGROUP bytes.
// The order of a sum depends on LANES alone. Own work.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue activation

// --- parameters
const ACTIVATION: u32 = 0u;
const LANES: u32 = 1u; // invocations that share a column: a power of two
const WORKGROUP: u32 = 16u; // a multiple of LANES
// --- end parameters

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<weight_vec4>;

const ROWS: u32 = 4u;
const COLUMNS: u32 = WORKGROUP / LANES;

// Partial sums: of 4 rows, by invocation.
var<workgroup> partial: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = group.x + group.y * groups.x;
  let tiles = (params.columns + COLUMNS - 1u) / COLUMNS;
  let first_row = tile / tiles * ROWS;
  let column = tile % tiles * COLUMNS + local / LANES;
  let lane = local % LANES;
  // Invocations past the edges stay for the barriers and sum what nobody reads.
  let steps = params.inner / 4u;
  let right = weight_row(column) * steps;
  let r0 = source_row(first_row) * steps;
  let r1 = source_row(first_row + 1u) * steps;
  let r2 = source_row(first_row + 2u) * steps;
  let r3 = source_row(first_row + 3u) * steps;
  var sums = vec4<f32>();
  for (var k = lane; k < steps; k += LANES) {
    let v = load_weight(w[right + k]);
    sums += vec4<f32>(dot(x[r0 + k], v), dot(x[r1 + k], v), dot(x[r2 + k], v), dot(x[r3 + k], v));
  }
  if (LANES > 1u) {
    partial[local] = sums;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) {
        partial[local] += partial[local + half];
      }
    }
    sums = partial[local];
  }
  if (lane != 0u || column >= params.columns) {
    return;
  }
  let shift = column_bias(column);
  for (var row = 0u; row < ROWS; row += 1u) {
    if (first_row + row < params.rows) {
      finish(first_row + row, column, sums[row], shift);
    }
  }
}
