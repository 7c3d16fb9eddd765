// y = act(x · W + bias) + residual, W as it stands, one element per invocation: the plain variant that is right for every width, and
// the one that the others are compared with.
//
// Shapes: x [sources, N], w [first + N or more, K] (f32 or f16), y [rows, K]; optional inputs as in kernels/lib/matmul-epilogue.wgsl.
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
  var sum = 0.0;
  for (var n = 0u; n < params.inner; n += 1u) {
    let at = (params.first_row + n) * params.columns + column;
    sum += x[left + n] * load_weight_at(w[at / WEIGHTS_PER_WORD], at);
  }
  finish(row, column, sum, column_bias(column));
}
