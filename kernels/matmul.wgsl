// y = act(x · Wᵀ + bias) + residual, one element per invocation, one multiply-add per load: the plain variant that is right
// for every width, and the one that the others are compared with.
//
// Shapes: x [sources, K], w [N, K] (f32 or f16), y [rows, columns]; optional inputs as in kernels/lib/matmul-epilogue.wgsl.
// Bindings: 8 storage buffers, 1 uniform. Workgroup memory: none. Own work.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue activation

// --- parameters
const ACTIVATION: u32 = 0u;
const WORKGROUP: u32 = 64u;
// --- end parameters

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<weight_word>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let element = (group.x + group.y * groups.x) * WORKGROUP + local;
  let row = element / params.columns;
  let column = element % params.columns;
  if (row >= params.rows) {
    return;
  }
  let left = source_row(row) * params.inner;
  let right = weight_row(column) * params.inner;
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k += 1u) {
    let at = right + k;
    sum += x[left + k] * load_weight_at(w[at / WEIGHTS_PER_WORD], at);
  }
  finish(row, column, sum, column_bias(column));
}
