// What follows the sums of a matmul, an element at a time:
//
//   v = act(sum + bias[column]) + residual[row, column]
//   y[row, column] = v,  or with scatter  y[scatter[row], column] += weight[scatter[row]] * v  (rows are distinct)
//
// matmul-epilogue-vec4.wgsl does the same for four columns. Needs ACTIVATION and the libraries `matmul-rows` and `activation`.

@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

// The bias of a column that exists.
fn column_bias(column: u32) -> f32 {
  var value = 0.0;
  for (var turn = params.has_bias; turn > 0u; turn -= 1u) {
    value = bias[params.first_bias + column];
  }
  return value;
}

// Writes one element of the result, whose column has the bias `shift`. The row and the column must exist.
fn finish(row: u32, column: u32, sum: f32, shift: f32) {
  var v = sum;
  // An index past x stands for a row of zeros.
  for (var turn = params.has_gather; turn > 0u; turn -= 1u) {
    v = select(0.0, v, gather[row] < params.sources);
  }
  v = activate(ACTIVATION, v + shift);
  for (var turn = params.has_residual; turn > 0u; turn -= 1u) {
    v += residual[row * params.columns + column];
  }
  var place = row;
  for (var turn = params.has_scatter; turn > 0u; turn -= 1u) {
    place = scatter[row];
    let inside = min(place, params.targets - 1u);
    var factor = 1.0;
    if (params.has_weight != 0u) {
      factor = weight[inside];
    }
    v = y[inside * params.columns + column] + factor * v;
  }
  if (place < params.targets) {
    y[place * params.columns + column] = v;
  }
}
