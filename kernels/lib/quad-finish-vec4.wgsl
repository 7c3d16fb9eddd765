// Writes what a quad has summed, four columns at a time, for results whose width is a multiple of 8: the maths of quad-finish.wgsl. Needs
// the libraries `matmul-rows`, `matmul-epilogue-vec4`, `activation` and one that has `Sums`.

// Sum i of lane l is that of row `first_row` + (i ^ l) with the 8 columns from `first_column` of that lane on.
fn finish_tile(first_row: u32, count: u32, first_column: u32, lane: u32, sums: ptr<function, array<Sums, 64>>) {
  if (first_column < params.columns) {
    let at = first_column / 4u;
    let left = columns_bias(at);
    let right = columns_bias(at + 1u);
    // A short sum costs less than what may follow it: results that nothing follows are written without asking row by row.
    let plain = count * plain_results();
    for (var i = 0u; i < plain; i += 1u) {
      let row = first_row + (i ^ lane);
      if (row < params.rows) {
        let place = row * (params.columns / 4u) + at;
        y[place] = activate4(ACTIVATION, (*sums)[i][0] + left);
        y[place + 1u] = activate4(ACTIVATION, (*sums)[i][1] + right);
      }
    }
    for (var i = plain; i < count; i += 1u) {
      let row = first_row + (i ^ lane);
      if (row < params.rows) {
        finish_columns(row, at, (*sums)[i][0], left);
        finish_columns(row, at + 1u, (*sums)[i][1], right);
      }
    }
  }
}
