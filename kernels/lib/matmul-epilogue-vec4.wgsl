// What follows the sums of a matmul, four neighbouring columns at a time, for results whose width is a multiple of 4: the maths of
// matmul-epilogue.wgsl. The first element of the bias is a multiple of 4 too. Needs ACTIVATION and the libraries `matmul-rows` and
// `activation`.

@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4<f32>>;

// The bias of columns 4 `at` to 4 `at` + 3, which exist.
fn columns_bias(at: u32) -> vec4<f32> {
  var value = vec4<f32>();
  for (var turn = params.has_bias; turn > 0u; turn -= 1u) {
    value = bias[params.first_bias / 4u + at];
  }
  return value;
}

// 1 where results are act(sum + bias) and no more, in the row of their sum; else 0.
fn plain_results() -> u32 {
  return 1u - min(params.has_gather + params.has_residual + params.has_scatter, 1u);
}

// Writes columns 4 `at` to 4 `at` + 3 of a row of the result, whose bias is `shift`. The row and the columns must exist.
fn finish_columns(row: u32, at: u32, sum: vec4<f32>, shift: vec4<f32>) {
  let steps = params.columns / 4u;
  var v = sum;
  // An index past x stands for a row of zeros.
  for (var turn = params.has_gather; turn > 0u; turn -= 1u) {
    v = select(vec4<f32>(), v, gather[row] < params.sources);
  }
  v = activate4(ACTIVATION, v + shift);
  for (var turn = params.has_residual; turn > 0u; turn -= 1u) {
    v += residual[row * steps + at];
  }
  var place = row;
  for (var turn = params.has_scatter; turn > 0u; turn -= 1u) {
    place = scatter[row];
    let inside = min(place, params.targets - 1u);
    var factor = 1.0;
    if (params.has_weight != 0u) {
      factor = weight[inside];
    }
    v = y[inside * steps + at] + factor * v;
  }
  if (place < params.targets) {
    y[place * steps + at] = v;
  }
}
