// What one quad multiplies: 8 steps along the inner axis for a row of a lane and the 8 columns of every lane, from private memory.
//
// As quad-product.wgsl, whose header says why it looks like this, but `columns` has the 8 columns of a step side by side, as a
// matrix has them whose rows are the steps: they are then loaded by a loop as they lie. Turning them on the way would have to be
// written out, and loads that are written out leave the instruction cache, which costs three times as much. Rows come as values,
// for they may be gathered from anywhere in private memory by constant indices.

alias Chunk = array<vec4<f32>, 2>; // 8 columns of a step, or 8 steps of a row
alias Sums = array<vec4<f32>, 2>; // one row, 8 columns

var<private> columns: array<Chunk, 8>; // this lane's, step by step

// Each adds the products of 8 steps for each of the 8 columns of this lane:
// with this lane's row,
fn own_row(row: Chunk, sums: Sums) -> Sums {
  let x0 = row[0].x;
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[0][0].y, x0, sums[0].y);
  let s2a = fma(columns[0][0].z, x0, sums[0].z); let s3a = fma(columns[0][0].w, x0, sums[0].w);
  let s4a = fma(columns[0][1].x, x0, sums[1].x); let s5a = fma(columns[0][1].y, x0, sums[1].y);
  let s6a = fma(columns[0][1].z, x0, sums[1].z); let s7a = fma(columns[0][1].w, x0, sums[1].w);
  let x1 = row[0].y;
  let s0b = fma(columns[1][0].x, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[1][0].z, x1, s2a); let s3b = fma(columns[1][0].w, x1, s3a);
  let s4b = fma(columns[1][1].x, x1, s4a); let s5b = fma(columns[1][1].y, x1, s5a);
  let s6b = fma(columns[1][1].z, x1, s6a); let s7b = fma(columns[1][1].w, x1, s7a);
  let x2 = row[0].z;
  let s0c = fma(columns[2][0].x, x2, s0b); let s1c = fma(columns[2][0].y, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[2][0].w, x2, s3b);
  let s4c = fma(columns[2][1].x, x2, s4b); let s5c = fma(columns[2][1].y, x2, s5b);
  let s6c = fma(columns[2][1].z, x2, s6b); let s7c = fma(columns[2][1].w, x2, s7b);
  let x3 = row[0].w;
  let s0d = fma(columns[3][0].x, x3, s0c); let s1d = fma(columns[3][0].y, x3, s1c);
  let s2d = fma(columns[3][0].z, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[3][1].x, x3, s4c); let s5d = fma(columns[3][1].y, x3, s5c);
  let s6d = fma(columns[3][1].z, x3, s6c); let s7d = fma(columns[3][1].w, x3, s7c);
  let x4 = row[1].x;
  let s0e = fma(columns[4][0].x, x4, s0d); let s1e = fma(columns[4][0].y, x4, s1d);
  let s2e = fma(columns[4][0].z, x4, s2d); let s3e = fma(columns[4][0].w, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[4][1].y, x4, s5d);
  let s6e = fma(columns[4][1].z, x4, s6d); let s7e = fma(columns[4][1].w, x4, s7d);
  let x5 = row[1].y;
  let s0f = fma(columns[5][0].x, x5, s0e); let s1f = fma(columns[5][0].y, x5, s1e);
  let s2f = fma(columns[5][0].z, x5, s2e); let s3f = fma(columns[5][0].w, x5, s3e);
  let s4f = fma(columns[5][1].x, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[5][1].z, x5, s6e); let s7f = fma(columns[5][1].w, x5, s7e);
  let x6 = row[1].z;
  let s0g = fma(columns[6][0].x, x6, s0f); let s1g = fma(columns[6][0].y, x6, s1f);
  let s2g = fma(columns[6][0].z, x6, s2f); let s3g = fma(columns[6][0].w, x6, s3f);
  let s4g = fma(columns[6][1].x, x6, s4f); let s5g = fma(columns[6][1].y, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[6][1].w, x6, s7f);
  let x7 = row[1].w;
  let s0h = fma(columns[7][0].x, x7, s0g); let s1h = fma(columns[7][0].y, x7, s1g);
  let s2h = fma(columns[7][0].z, x7, s2g); let s3h = fma(columns[7][0].w, x7, s3g);
  let s4h = fma(columns[7][1].x, x7, s4g); let s5h = fma(columns[7][1].y, x7, s5g);
  let s6h = fma(columns[7][1].z, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}

// with the row of lane l^1,
fn row_x(row: Chunk, sums: Sums) -> Sums {
  let x0 = quadSwapX(row[0].x);
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[0][0].y, x0, sums[0].y);
  let s2a = fma(columns[0][0].z, x0, sums[0].z); let s3a = fma(columns[0][0].w, x0, sums[0].w);
  let s4a = fma(columns[0][1].x, x0, sums[1].x); let s5a = fma(columns[0][1].y, x0, sums[1].y);
  let s6a = fma(columns[0][1].z, x0, sums[1].z); let s7a = fma(columns[0][1].w, x0, sums[1].w);
  let x1 = quadSwapX(row[0].y);
  let s0b = fma(columns[1][0].x, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[1][0].z, x1, s2a); let s3b = fma(columns[1][0].w, x1, s3a);
  let s4b = fma(columns[1][1].x, x1, s4a); let s5b = fma(columns[1][1].y, x1, s5a);
  let s6b = fma(columns[1][1].z, x1, s6a); let s7b = fma(columns[1][1].w, x1, s7a);
  let x2 = quadSwapX(row[0].z);
  let s0c = fma(columns[2][0].x, x2, s0b); let s1c = fma(columns[2][0].y, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[2][0].w, x2, s3b);
  let s4c = fma(columns[2][1].x, x2, s4b); let s5c = fma(columns[2][1].y, x2, s5b);
  let s6c = fma(columns[2][1].z, x2, s6b); let s7c = fma(columns[2][1].w, x2, s7b);
  let x3 = quadSwapX(row[0].w);
  let s0d = fma(columns[3][0].x, x3, s0c); let s1d = fma(columns[3][0].y, x3, s1c);
  let s2d = fma(columns[3][0].z, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[3][1].x, x3, s4c); let s5d = fma(columns[3][1].y, x3, s5c);
  let s6d = fma(columns[3][1].z, x3, s6c); let s7d = fma(columns[3][1].w, x3, s7c);
  let x4 = quadSwapX(row[1].x);
  let s0e = fma(columns[4][0].x, x4, s0d); let s1e = fma(columns[4][0].y, x4, s1d);
  let s2e = fma(columns[4][0].z, x4, s2d); let s3e = fma(columns[4][0].w, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[4][1].y, x4, s5d);
  let s6e = fma(columns[4][1].z, x4, s6d); let s7e = fma(columns[4][1].w, x4, s7d);
  let x5 = quadSwapX(row[1].y);
  let s0f = fma(columns[5][0].x, x5, s0e); let s1f = fma(columns[5][0].y, x5, s1e);
  let s2f = fma(columns[5][0].z, x5, s2e); let s3f = fma(columns[5][0].w, x5, s3e);
  let s4f = fma(columns[5][1].x, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[5][1].z, x5, s6e); let s7f = fma(columns[5][1].w, x5, s7e);
  let x6 = quadSwapX(row[1].z);
  let s0g = fma(columns[6][0].x, x6, s0f); let s1g = fma(columns[6][0].y, x6, s1f);
  let s2g = fma(columns[6][0].z, x6, s2f); let s3g = fma(columns[6][0].w, x6, s3f);
  let s4g = fma(columns[6][1].x, x6, s4f); let s5g = fma(columns[6][1].y, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[6][1].w, x6, s7f);
  let x7 = quadSwapX(row[1].w);
  let s0h = fma(columns[7][0].x, x7, s0g); let s1h = fma(columns[7][0].y, x7, s1g);
  let s2h = fma(columns[7][0].z, x7, s2g); let s3h = fma(columns[7][0].w, x7, s3g);
  let s4h = fma(columns[7][1].x, x7, s4g); let s5h = fma(columns[7][1].y, x7, s5g);
  let s6h = fma(columns[7][1].z, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}

// with the row of lane l^2,
fn row_y(row: Chunk, sums: Sums) -> Sums {
  let x0 = quadSwapY(row[0].x);
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[0][0].y, x0, sums[0].y);
  let s2a = fma(columns[0][0].z, x0, sums[0].z); let s3a = fma(columns[0][0].w, x0, sums[0].w);
  let s4a = fma(columns[0][1].x, x0, sums[1].x); let s5a = fma(columns[0][1].y, x0, sums[1].y);
  let s6a = fma(columns[0][1].z, x0, sums[1].z); let s7a = fma(columns[0][1].w, x0, sums[1].w);
  let x1 = quadSwapY(row[0].y);
  let s0b = fma(columns[1][0].x, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[1][0].z, x1, s2a); let s3b = fma(columns[1][0].w, x1, s3a);
  let s4b = fma(columns[1][1].x, x1, s4a); let s5b = fma(columns[1][1].y, x1, s5a);
  let s6b = fma(columns[1][1].z, x1, s6a); let s7b = fma(columns[1][1].w, x1, s7a);
  let x2 = quadSwapY(row[0].z);
  let s0c = fma(columns[2][0].x, x2, s0b); let s1c = fma(columns[2][0].y, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[2][0].w, x2, s3b);
  let s4c = fma(columns[2][1].x, x2, s4b); let s5c = fma(columns[2][1].y, x2, s5b);
  let s6c = fma(columns[2][1].z, x2, s6b); let s7c = fma(columns[2][1].w, x2, s7b);
  let x3 = quadSwapY(row[0].w);
  let s0d = fma(columns[3][0].x, x3, s0c); let s1d = fma(columns[3][0].y, x3, s1c);
  let s2d = fma(columns[3][0].z, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[3][1].x, x3, s4c); let s5d = fma(columns[3][1].y, x3, s5c);
  let s6d = fma(columns[3][1].z, x3, s6c); let s7d = fma(columns[3][1].w, x3, s7c);
  let x4 = quadSwapY(row[1].x);
  let s0e = fma(columns[4][0].x, x4, s0d); let s1e = fma(columns[4][0].y, x4, s1d);
  let s2e = fma(columns[4][0].z, x4, s2d); let s3e = fma(columns[4][0].w, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[4][1].y, x4, s5d);
  let s6e = fma(columns[4][1].z, x4, s6d); let s7e = fma(columns[4][1].w, x4, s7d);
  let x5 = quadSwapY(row[1].y);
  let s0f = fma(columns[5][0].x, x5, s0e); let s1f = fma(columns[5][0].y, x5, s1e);
  let s2f = fma(columns[5][0].z, x5, s2e); let s3f = fma(columns[5][0].w, x5, s3e);
  let s4f = fma(columns[5][1].x, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[5][1].z, x5, s6e); let s7f = fma(columns[5][1].w, x5, s7e);
  let x6 = quadSwapY(row[1].z);
  let s0g = fma(columns[6][0].x, x6, s0f); let s1g = fma(columns[6][0].y, x6, s1f);
  let s2g = fma(columns[6][0].z, x6, s2f); let s3g = fma(columns[6][0].w, x6, s3f);
  let s4g = fma(columns[6][1].x, x6, s4f); let s5g = fma(columns[6][1].y, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[6][1].w, x6, s7f);
  let x7 = quadSwapY(row[1].w);
  let s0h = fma(columns[7][0].x, x7, s0g); let s1h = fma(columns[7][0].y, x7, s1g);
  let s2h = fma(columns[7][0].z, x7, s2g); let s3h = fma(columns[7][0].w, x7, s3g);
  let s4h = fma(columns[7][1].x, x7, s4g); let s5h = fma(columns[7][1].y, x7, s5g);
  let s6h = fma(columns[7][1].z, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}

// and with the row of lane l^3.
fn row_diagonal(row: Chunk, sums: Sums) -> Sums {
  let x0 = quadSwapDiagonal(row[0].x);
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[0][0].y, x0, sums[0].y);
  let s2a = fma(columns[0][0].z, x0, sums[0].z); let s3a = fma(columns[0][0].w, x0, sums[0].w);
  let s4a = fma(columns[0][1].x, x0, sums[1].x); let s5a = fma(columns[0][1].y, x0, sums[1].y);
  let s6a = fma(columns[0][1].z, x0, sums[1].z); let s7a = fma(columns[0][1].w, x0, sums[1].w);
  let x1 = quadSwapDiagonal(row[0].y);
  let s0b = fma(columns[1][0].x, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[1][0].z, x1, s2a); let s3b = fma(columns[1][0].w, x1, s3a);
  let s4b = fma(columns[1][1].x, x1, s4a); let s5b = fma(columns[1][1].y, x1, s5a);
  let s6b = fma(columns[1][1].z, x1, s6a); let s7b = fma(columns[1][1].w, x1, s7a);
  let x2 = quadSwapDiagonal(row[0].z);
  let s0c = fma(columns[2][0].x, x2, s0b); let s1c = fma(columns[2][0].y, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[2][0].w, x2, s3b);
  let s4c = fma(columns[2][1].x, x2, s4b); let s5c = fma(columns[2][1].y, x2, s5b);
  let s6c = fma(columns[2][1].z, x2, s6b); let s7c = fma(columns[2][1].w, x2, s7b);
  let x3 = quadSwapDiagonal(row[0].w);
  let s0d = fma(columns[3][0].x, x3, s0c); let s1d = fma(columns[3][0].y, x3, s1c);
  let s2d = fma(columns[3][0].z, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[3][1].x, x3, s4c); let s5d = fma(columns[3][1].y, x3, s5c);
  let s6d = fma(columns[3][1].z, x3, s6c); let s7d = fma(columns[3][1].w, x3, s7c);
  let x4 = quadSwapDiagonal(row[1].x);
  let s0e = fma(columns[4][0].x, x4, s0d); let s1e = fma(columns[4][0].y, x4, s1d);
  let s2e = fma(columns[4][0].z, x4, s2d); let s3e = fma(columns[4][0].w, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[4][1].y, x4, s5d);
  let s6e = fma(columns[4][1].z, x4, s6d); let s7e = fma(columns[4][1].w, x4, s7d);
  let x5 = quadSwapDiagonal(row[1].y);
  let s0f = fma(columns[5][0].x, x5, s0e); let s1f = fma(columns[5][0].y, x5, s1e);
  let s2f = fma(columns[5][0].z, x5, s2e); let s3f = fma(columns[5][0].w, x5, s3e);
  let s4f = fma(columns[5][1].x, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[5][1].z, x5, s6e); let s7f = fma(columns[5][1].w, x5, s7e);
  let x6 = quadSwapDiagonal(row[1].z);
  let s0g = fma(columns[6][0].x, x6, s0f); let s1g = fma(columns[6][0].y, x6, s1f);
  let s2g = fma(columns[6][0].z, x6, s2f); let s3g = fma(columns[6][0].w, x6, s3f);
  let s4g = fma(columns[6][1].x, x6, s4f); let s5g = fma(columns[6][1].y, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[6][1].w, x6, s7f);
  let x7 = quadSwapDiagonal(row[1].w);
  let s0h = fma(columns[7][0].x, x7, s0g); let s1h = fma(columns[7][0].y, x7, s1g);
  let s2h = fma(columns[7][0].z, x7, s2g); let s3h = fma(columns[7][0].w, x7, s3g);
  let s4h = fma(columns[7][1].x, x7, s4g); let s5h = fma(columns[7][1].y, x7, s5g);
  let s6h = fma(columns[7][1].z, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}
