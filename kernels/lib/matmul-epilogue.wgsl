// What all matmul variants share: the bindings beside x and w, the row of x behind a result row, and the epilogue
//
//   v = act(sum + bias[column]) + residual[row, column]
//   y[row, column] = v,  or with scatter  y[scatter[row], column] += weight[scatter[row]] * v  (rows are distinct)
//
// What is absent is switched off by run-time flags, not by constants, so that one compiled pipeline serves all matmuls
// of one activation. The flags run loops of no or one turn: SwiftShader executes both sides of every `if` under a lane
// mask and jumps only over loops. Needs ACTIVATION and the library `activation`.

struct Params {
  rows: u32, // result rows R
  columns: u32, // result columns
  inner: u32, // K, in elements
  first_row: u32, // the row of w and bias that gives column 0, in the slot of a run where they are stacks
  sources: u32, // rows of x
  targets: u32, // rows of y
  has_bias: u32,
  has_residual: u32,
  has_gather: u32,
  has_scatter: u32,
  has_weight: u32,
}

@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> gather: array<u32>;
@group(0) @binding(5) var<storage, read> scatter: array<u32>;
@group(0) @binding(6) var<storage, read> weight: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

// The row of x that result row `row` multiplies. Rows past the last one, and indices past x, give some row of x.
fn source_row(row: u32) -> u32 {
  var source = min(row, params.rows - 1u);
  for (var turn = params.has_gather; turn > 0u; turn -= 1u) {
    source = gather[source];
  }
  return min(source, max(params.sources, 1u) - 1u);
}

// The row of w that column `column` multiplies; columns past the last one give the last one.
fn weight_row(column: u32) -> u32 {
  return params.first_row + min(column, params.columns - 1u);
}

// The bias of a column that exists.
fn column_bias(column: u32) -> f32 {
  var value = 0.0;
  for (var turn = params.has_bias; turn > 0u; turn -= 1u) {
    value = bias[params.first_row + column];
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
