// Matrix product, naive: y[r] = act(x[gather[r]] · Wᵀ + bias) + residual[r], or y[scatter[r]] += weight[scatter[r]] * that.
//
// One invocation per element of the result; the plain loop that every other variant is compared with.
// x [M, K], w [N, K], bias [N], residual [R, N], gather [R], scatter [R], weight [B], y [R, N] or [B, N].
// lib: activation

// --- parameters
const K: u32 = 64u;
const ACTIVATION: u32 = 0u;
const HAS_BIAS: bool = false;
const HAS_RESIDUAL: bool = false;
const HAS_GATHER: bool = false;
const HAS_SCATTER: bool = false;
const HAS_WEIGHT: bool = false;
// --- end parameters

struct Params { rows: u32, columns: u32, first_row: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> gather: array<u32>;
@group(0) @binding(5) var<storage, read> scatter: array<u32>;
@group(0) @binding(6) var<storage, read> weight: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x;
  let row = id.y;
  if column >= params.columns || row >= params.rows { return; }
  var source = row;
  if HAS_GATHER { source = gather[row]; }
  var sum = 0.0;
  for (var k = 0u; k < K; k++) {
    sum += x[source * K + k] * w[(params.first_row + column) * K + k];
  }
  if HAS_BIAS { sum += bias[params.first_row + column]; }
  sum = activate(ACTIVATION, sum);
  if HAS_RESIDUAL { sum += residual[row * params.columns + column]; }
  if HAS_SCATTER {
    let target_row = scatter[row];
    if HAS_WEIGHT { sum *= weight[target_row]; }
    y[target_row * params.columns + column] += sum;
  } else {
    y[row * params.columns + column] = sum;
  }
}
