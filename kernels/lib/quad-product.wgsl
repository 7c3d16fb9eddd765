// What one quad multiplies: 8 products along K for a row of a lane and the 8 columns of every lane, from private memory.
//
// Lane l keeps a Chunk (8 elements along K) of its own row and of 8 columns of its own. `own_row` adds the products of its
// row with its columns; the others fetch the row of another lane of the quad, so that lane l comes to hold the sums of
// the rows of lanes l, l^1, l^2 and l^3, each with its own columns. On SwiftShader a swap costs 1 instruction, a broadcast
// 20; an assignment to a variable is a masked merge of 12 instructions: hence chains in `let`s, 8 side by side, which is
// what its 16 registers hold; and only constant indices make memory operands of private arrays: hence no loops.
// The sum of an element runs along K in one order in every lane.

alias Chunk = array<vec4<f32>, 2>; // 8 elements of a row along K
alias Sums = array<vec4<f32>, 2>; // one row, 8 columns

var<private> columns: array<Chunk, 8>; // this lane's

// Each adds 8 products along K for each of the 8 columns of this lane:
// with this lane's row,
fn own_row(row: ptr<function, Chunk>, sums: Sums) -> Sums {
  let x0 = (*row)[0].x;
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[1][0].x, x0, sums[0].y);
  let s2a = fma(columns[2][0].x, x0, sums[0].z); let s3a = fma(columns[3][0].x, x0, sums[0].w);
  let s4a = fma(columns[4][0].x, x0, sums[1].x); let s5a = fma(columns[5][0].x, x0, sums[1].y);
  let s6a = fma(columns[6][0].x, x0, sums[1].z); let s7a = fma(columns[7][0].x, x0, sums[1].w);
  let x1 = (*row)[0].y;
  let s0b = fma(columns[0][0].y, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[2][0].y, x1, s2a); let s3b = fma(columns[3][0].y, x1, s3a);
  let s4b = fma(columns[4][0].y, x1, s4a); let s5b = fma(columns[5][0].y, x1, s5a);
  let s6b = fma(columns[6][0].y, x1, s6a); let s7b = fma(columns[7][0].y, x1, s7a);
  let x2 = (*row)[0].z;
  let s0c = fma(columns[0][0].z, x2, s0b); let s1c = fma(columns[1][0].z, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[3][0].z, x2, s3b);
  let s4c = fma(columns[4][0].z, x2, s4b); let s5c = fma(columns[5][0].z, x2, s5b);
  let s6c = fma(columns[6][0].z, x2, s6b); let s7c = fma(columns[7][0].z, x2, s7b);
  let x3 = (*row)[0].w;
  let s0d = fma(columns[0][0].w, x3, s0c); let s1d = fma(columns[1][0].w, x3, s1c);
  let s2d = fma(columns[2][0].w, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[4][0].w, x3, s4c); let s5d = fma(columns[5][0].w, x3, s5c);
  let s6d = fma(columns[6][0].w, x3, s6c); let s7d = fma(columns[7][0].w, x3, s7c);
  let x4 = (*row)[1].x;
  let s0e = fma(columns[0][1].x, x4, s0d); let s1e = fma(columns[1][1].x, x4, s1d);
  let s2e = fma(columns[2][1].x, x4, s2d); let s3e = fma(columns[3][1].x, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[5][1].x, x4, s5d);
  let s6e = fma(columns[6][1].x, x4, s6d); let s7e = fma(columns[7][1].x, x4, s7d);
  let x5 = (*row)[1].y;
  let s0f = fma(columns[0][1].y, x5, s0e); let s1f = fma(columns[1][1].y, x5, s1e);
  let s2f = fma(columns[2][1].y, x5, s2e); let s3f = fma(columns[3][1].y, x5, s3e);
  let s4f = fma(columns[4][1].y, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[6][1].y, x5, s6e); let s7f = fma(columns[7][1].y, x5, s7e);
  let x6 = (*row)[1].z;
  let s0g = fma(columns[0][1].z, x6, s0f); let s1g = fma(columns[1][1].z, x6, s1f);
  let s2g = fma(columns[2][1].z, x6, s2f); let s3g = fma(columns[3][1].z, x6, s3f);
  let s4g = fma(columns[4][1].z, x6, s4f); let s5g = fma(columns[5][1].z, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[7][1].z, x6, s7f);
  let x7 = (*row)[1].w;
  let s0h = fma(columns[0][1].w, x7, s0g); let s1h = fma(columns[1][1].w, x7, s1g);
  let s2h = fma(columns[2][1].w, x7, s2g); let s3h = fma(columns[3][1].w, x7, s3g);
  let s4h = fma(columns[4][1].w, x7, s4g); let s5h = fma(columns[5][1].w, x7, s5g);
  let s6h = fma(columns[6][1].w, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}

// with the row of lane l^1,
fn row_x(row: ptr<function, Chunk>, sums: Sums) -> Sums {
  let x0 = quadSwapX((*row)[0].x);
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[1][0].x, x0, sums[0].y);
  let s2a = fma(columns[2][0].x, x0, sums[0].z); let s3a = fma(columns[3][0].x, x0, sums[0].w);
  let s4a = fma(columns[4][0].x, x0, sums[1].x); let s5a = fma(columns[5][0].x, x0, sums[1].y);
  let s6a = fma(columns[6][0].x, x0, sums[1].z); let s7a = fma(columns[7][0].x, x0, sums[1].w);
  let x1 = quadSwapX((*row)[0].y);
  let s0b = fma(columns[0][0].y, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[2][0].y, x1, s2a); let s3b = fma(columns[3][0].y, x1, s3a);
  let s4b = fma(columns[4][0].y, x1, s4a); let s5b = fma(columns[5][0].y, x1, s5a);
  let s6b = fma(columns[6][0].y, x1, s6a); let s7b = fma(columns[7][0].y, x1, s7a);
  let x2 = quadSwapX((*row)[0].z);
  let s0c = fma(columns[0][0].z, x2, s0b); let s1c = fma(columns[1][0].z, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[3][0].z, x2, s3b);
  let s4c = fma(columns[4][0].z, x2, s4b); let s5c = fma(columns[5][0].z, x2, s5b);
  let s6c = fma(columns[6][0].z, x2, s6b); let s7c = fma(columns[7][0].z, x2, s7b);
  let x3 = quadSwapX((*row)[0].w);
  let s0d = fma(columns[0][0].w, x3, s0c); let s1d = fma(columns[1][0].w, x3, s1c);
  let s2d = fma(columns[2][0].w, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[4][0].w, x3, s4c); let s5d = fma(columns[5][0].w, x3, s5c);
  let s6d = fma(columns[6][0].w, x3, s6c); let s7d = fma(columns[7][0].w, x3, s7c);
  let x4 = quadSwapX((*row)[1].x);
  let s0e = fma(columns[0][1].x, x4, s0d); let s1e = fma(columns[1][1].x, x4, s1d);
  let s2e = fma(columns[2][1].x, x4, s2d); let s3e = fma(columns[3][1].x, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[5][1].x, x4, s5d);
  let s6e = fma(columns[6][1].x, x4, s6d); let s7e = fma(columns[7][1].x, x4, s7d);
  let x5 = quadSwapX((*row)[1].y);
  let s0f = fma(columns[0][1].y, x5, s0e); let s1f = fma(columns[1][1].y, x5, s1e);
  let s2f = fma(columns[2][1].y, x5, s2e); let s3f = fma(columns[3][1].y, x5, s3e);
  let s4f = fma(columns[4][1].y, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[6][1].y, x5, s6e); let s7f = fma(columns[7][1].y, x5, s7e);
  let x6 = quadSwapX((*row)[1].z);
  let s0g = fma(columns[0][1].z, x6, s0f); let s1g = fma(columns[1][1].z, x6, s1f);
  let s2g = fma(columns[2][1].z, x6, s2f); let s3g = fma(columns[3][1].z, x6, s3f);
  let s4g = fma(columns[4][1].z, x6, s4f); let s5g = fma(columns[5][1].z, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[7][1].z, x6, s7f);
  let x7 = quadSwapX((*row)[1].w);
  let s0h = fma(columns[0][1].w, x7, s0g); let s1h = fma(columns[1][1].w, x7, s1g);
  let s2h = fma(columns[2][1].w, x7, s2g); let s3h = fma(columns[3][1].w, x7, s3g);
  let s4h = fma(columns[4][1].w, x7, s4g); let s5h = fma(columns[5][1].w, x7, s5g);
  let s6h = fma(columns[6][1].w, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}

// with the row of lane l^2,
fn row_y(row: ptr<function, Chunk>, sums: Sums) -> Sums {
  let x0 = quadSwapY((*row)[0].x);
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[1][0].x, x0, sums[0].y);
  let s2a = fma(columns[2][0].x, x0, sums[0].z); let s3a = fma(columns[3][0].x, x0, sums[0].w);
  let s4a = fma(columns[4][0].x, x0, sums[1].x); let s5a = fma(columns[5][0].x, x0, sums[1].y);
  let s6a = fma(columns[6][0].x, x0, sums[1].z); let s7a = fma(columns[7][0].x, x0, sums[1].w);
  let x1 = quadSwapY((*row)[0].y);
  let s0b = fma(columns[0][0].y, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[2][0].y, x1, s2a); let s3b = fma(columns[3][0].y, x1, s3a);
  let s4b = fma(columns[4][0].y, x1, s4a); let s5b = fma(columns[5][0].y, x1, s5a);
  let s6b = fma(columns[6][0].y, x1, s6a); let s7b = fma(columns[7][0].y, x1, s7a);
  let x2 = quadSwapY((*row)[0].z);
  let s0c = fma(columns[0][0].z, x2, s0b); let s1c = fma(columns[1][0].z, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[3][0].z, x2, s3b);
  let s4c = fma(columns[4][0].z, x2, s4b); let s5c = fma(columns[5][0].z, x2, s5b);
  let s6c = fma(columns[6][0].z, x2, s6b); let s7c = fma(columns[7][0].z, x2, s7b);
  let x3 = quadSwapY((*row)[0].w);
  let s0d = fma(columns[0][0].w, x3, s0c); let s1d = fma(columns[1][0].w, x3, s1c);
  let s2d = fma(columns[2][0].w, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[4][0].w, x3, s4c); let s5d = fma(columns[5][0].w, x3, s5c);
  let s6d = fma(columns[6][0].w, x3, s6c); let s7d = fma(columns[7][0].w, x3, s7c);
  let x4 = quadSwapY((*row)[1].x);
  let s0e = fma(columns[0][1].x, x4, s0d); let s1e = fma(columns[1][1].x, x4, s1d);
  let s2e = fma(columns[2][1].x, x4, s2d); let s3e = fma(columns[3][1].x, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[5][1].x, x4, s5d);
  let s6e = fma(columns[6][1].x, x4, s6d); let s7e = fma(columns[7][1].x, x4, s7d);
  let x5 = quadSwapY((*row)[1].y);
  let s0f = fma(columns[0][1].y, x5, s0e); let s1f = fma(columns[1][1].y, x5, s1e);
  let s2f = fma(columns[2][1].y, x5, s2e); let s3f = fma(columns[3][1].y, x5, s3e);
  let s4f = fma(columns[4][1].y, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[6][1].y, x5, s6e); let s7f = fma(columns[7][1].y, x5, s7e);
  let x6 = quadSwapY((*row)[1].z);
  let s0g = fma(columns[0][1].z, x6, s0f); let s1g = fma(columns[1][1].z, x6, s1f);
  let s2g = fma(columns[2][1].z, x6, s2f); let s3g = fma(columns[3][1].z, x6, s3f);
  let s4g = fma(columns[4][1].z, x6, s4f); let s5g = fma(columns[5][1].z, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[7][1].z, x6, s7f);
  let x7 = quadSwapY((*row)[1].w);
  let s0h = fma(columns[0][1].w, x7, s0g); let s1h = fma(columns[1][1].w, x7, s1g);
  let s2h = fma(columns[2][1].w, x7, s2g); let s3h = fma(columns[3][1].w, x7, s3g);
  let s4h = fma(columns[4][1].w, x7, s4g); let s5h = fma(columns[5][1].w, x7, s5g);
  let s6h = fma(columns[6][1].w, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}

// and with the row of lane l^3.
fn row_diagonal(row: ptr<function, Chunk>, sums: Sums) -> Sums {
  let x0 = quadSwapDiagonal((*row)[0].x);
  let s0a = fma(columns[0][0].x, x0, sums[0].x); let s1a = fma(columns[1][0].x, x0, sums[0].y);
  let s2a = fma(columns[2][0].x, x0, sums[0].z); let s3a = fma(columns[3][0].x, x0, sums[0].w);
  let s4a = fma(columns[4][0].x, x0, sums[1].x); let s5a = fma(columns[5][0].x, x0, sums[1].y);
  let s6a = fma(columns[6][0].x, x0, sums[1].z); let s7a = fma(columns[7][0].x, x0, sums[1].w);
  let x1 = quadSwapDiagonal((*row)[0].y);
  let s0b = fma(columns[0][0].y, x1, s0a); let s1b = fma(columns[1][0].y, x1, s1a);
  let s2b = fma(columns[2][0].y, x1, s2a); let s3b = fma(columns[3][0].y, x1, s3a);
  let s4b = fma(columns[4][0].y, x1, s4a); let s5b = fma(columns[5][0].y, x1, s5a);
  let s6b = fma(columns[6][0].y, x1, s6a); let s7b = fma(columns[7][0].y, x1, s7a);
  let x2 = quadSwapDiagonal((*row)[0].z);
  let s0c = fma(columns[0][0].z, x2, s0b); let s1c = fma(columns[1][0].z, x2, s1b);
  let s2c = fma(columns[2][0].z, x2, s2b); let s3c = fma(columns[3][0].z, x2, s3b);
  let s4c = fma(columns[4][0].z, x2, s4b); let s5c = fma(columns[5][0].z, x2, s5b);
  let s6c = fma(columns[6][0].z, x2, s6b); let s7c = fma(columns[7][0].z, x2, s7b);
  let x3 = quadSwapDiagonal((*row)[0].w);
  let s0d = fma(columns[0][0].w, x3, s0c); let s1d = fma(columns[1][0].w, x3, s1c);
  let s2d = fma(columns[2][0].w, x3, s2c); let s3d = fma(columns[3][0].w, x3, s3c);
  let s4d = fma(columns[4][0].w, x3, s4c); let s5d = fma(columns[5][0].w, x3, s5c);
  let s6d = fma(columns[6][0].w, x3, s6c); let s7d = fma(columns[7][0].w, x3, s7c);
  let x4 = quadSwapDiagonal((*row)[1].x);
  let s0e = fma(columns[0][1].x, x4, s0d); let s1e = fma(columns[1][1].x, x4, s1d);
  let s2e = fma(columns[2][1].x, x4, s2d); let s3e = fma(columns[3][1].x, x4, s3d);
  let s4e = fma(columns[4][1].x, x4, s4d); let s5e = fma(columns[5][1].x, x4, s5d);
  let s6e = fma(columns[6][1].x, x4, s6d); let s7e = fma(columns[7][1].x, x4, s7d);
  let x5 = quadSwapDiagonal((*row)[1].y);
  let s0f = fma(columns[0][1].y, x5, s0e); let s1f = fma(columns[1][1].y, x5, s1e);
  let s2f = fma(columns[2][1].y, x5, s2e); let s3f = fma(columns[3][1].y, x5, s3e);
  let s4f = fma(columns[4][1].y, x5, s4e); let s5f = fma(columns[5][1].y, x5, s5e);
  let s6f = fma(columns[6][1].y, x5, s6e); let s7f = fma(columns[7][1].y, x5, s7e);
  let x6 = quadSwapDiagonal((*row)[1].z);
  let s0g = fma(columns[0][1].z, x6, s0f); let s1g = fma(columns[1][1].z, x6, s1f);
  let s2g = fma(columns[2][1].z, x6, s2f); let s3g = fma(columns[3][1].z, x6, s3f);
  let s4g = fma(columns[4][1].z, x6, s4f); let s5g = fma(columns[5][1].z, x6, s5f);
  let s6g = fma(columns[6][1].z, x6, s6f); let s7g = fma(columns[7][1].z, x6, s7f);
  let x7 = quadSwapDiagonal((*row)[1].w);
  let s0h = fma(columns[0][1].w, x7, s0g); let s1h = fma(columns[1][1].w, x7, s1g);
  let s2h = fma(columns[2][1].w, x7, s2g); let s3h = fma(columns[3][1].w, x7, s3g);
  let s4h = fma(columns[4][1].w, x7, s4g); let s5h = fma(columns[5][1].w, x7, s5g);
  let s6h = fma(columns[6][1].w, x7, s6g); let s7h = fma(columns[7][1].w, x7, s7g);
  return Sums(vec4<f32>(s0h, s1h, s2h, s3h), vec4<f32>(s4h, s5h, s6h, s7h));
}
