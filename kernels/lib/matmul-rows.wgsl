// What all matmul variants share: the sizes, the selections, and the rows of x and w behind an element of the result. What is
// absent is switched off by run-time flags, not by constants, so that one compiled pipeline serves all matmuls of one activation.
// The flags run loops of no or one turn: SwiftShader executes both sides of every `if` under a lane mask and jumps only over
// loops.

struct Params {
  rows: u32, // result rows R
  columns: u32, // result columns
  inner: u32, // the length of a sum, in elements
  first_row: u32, // the row of w that gives column 0, or transposed the first one of a sum; in the slot of a run where w is a stack
  first_bias: u32, // the element of bias that column 0 has
  sources: u32, // rows of x
  targets: u32, // rows of y
  has_bias: u32,
  has_residual: u32,
  has_gather: u32,
  has_scatter: u32,
  has_weight: u32,
}

@group(0) @binding(4) var<storage, read> gather: array<u32>;
@group(0) @binding(5) var<storage, read> scatter: array<u32>;
@group(0) @binding(6) var<storage, read> weight: array<f32>;
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
