// Writes what a quad has summed, an element at a time, for results of any width. quad-finish-vec4.wgsl does the same for widths that are
// multiples of 8. Needs the libraries `matmul-rows`, `matmul-epilogue` and one that has `Sums`.

// Sum i of lane l is that of row `first_row` + (i ^ l) with the 8 columns from `first_column` of that lane on.
fn finish_tile(first_row: u32, count: u32, first_column: u32, lane: u32, sums: ptr<function, array<Sums, 64>>) {
  for (var j = 0u; j < 8u; j += 1u) {
    let column = first_column + j;
    let shift = column_bias(min(column, params.columns - 1u));
    for (var i = 0u; i < count; i += 1u) {
      let row = first_row + (i ^ lane);
      if (row < params.rows && column < params.columns) {
        finish(row, column, (*sums)[i][j / 4u][j % 4u], shift);
      }
    }
  }
}
