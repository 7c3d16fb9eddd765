// dw = dyᵀ · x[gather], 64 rows x 32 columns per quad of 4 lanes, all of the rows of dy or one part of them: the variant for
// SwiftShader, which runs a subgroup as one 4-wide vector. Right at every subgroup size, for all exchange is inside quads.
//
// Shapes: dy [rows, stride], of which N columns take part; x [sources, K]; dw [N, K] or partial [parts, N, K]; N, K, the stride
// and the first column are multiples of 8. Bindings: 5 storage buffers, 1 uniform. Workgroup memory: none. Private memory: 3 KiB.
// Feature: subgroups.
// Algorithm: that of matmul.subgroup, whose header says what its shape follows from. Here the sum runs down both matrices: per
// step of 8 rows each lane copies twice 8 neighbouring columns of dy and 8 of x to private memory, as they lie.
// The order of a sum is that of the rows. Own work.
// lib: weight-gradient-rows item-vec4 quad-outer-product

enable subgroups;

// --- parameters
const NARROW: bool = false; // dw has no more rows than one half of a tile
const PARTS: bool = false; // the rows are summed in parts, which another launch adds
const QUADS: u32 = 1u; // of a workgroup
// --- end parameters

@group(0) @binding(0) var<storage, read> dy: array<Chunk>;
@group(0) @binding(1) var<storage, read> x: array<Chunk>;

const HALF: u32 = 32u; // rows of dw that are half a tile: row i of lane l in one is 8 l + i
const LANE_ROWS: u32 = 16u; // of dw, 8 in each half
const LANE_COLUMNS: u32 = 8u; // of dw: column j of lane l is 8 l + j

@compute @workgroup_size(4u * QUADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let lane = subgroup_lane % 4u;
  let tile = (group.x + group.y * groups.x) * QUADS + local / 4u;
  let across = (params.width + 4u * LANE_COLUMNS - 1u) / (4u * LANE_COLUMNS);
  let first_row = tile / across * (4u * LANE_ROWS);
  let first_column = tile % across * (4u * LANE_COLUMNS) + LANE_COLUMNS * lane;
  // Past the edges a lane reads the last columns there are, for sums that nobody stores.
  let dy_chunks = params.stride / 8u;
  let dy_last = (params.first_column + params.height) / 8u - 1u;
  let dy_first = (params.first_column + first_row) / 8u + lane;
  let dy_left = min(dy_first, dy_last);
  let dy_right = min(dy_first + HALF / 8u, dy_last);
  let x_chunks = params.width / 8u;
  let x_at = min(first_column / 8u, x_chunks - 1u);
  let end = end_of(group.z);
  var rows: array<array<vec4<f32>, 4>, 8>; // 8 rows of dy, of this lane's rows of dw
  var sums: array<Sums, 4u * LANE_ROWS>;
  for (var r = start_of(group.z); r < end; r += 8u) {
    let count = min(end - r, 8u);
    let gathered = count * params.has_gather;
    let straight = count - gathered;
    var x_place = r * x_chunks + x_at;
    for (var k = 0u; k < straight; k += 1u) {
      let block = &x[x_place];
      let column = &columns[k];
      (*column)[0] = (*block)[0];
      (*column)[1] = (*block)[1];
      x_place += x_chunks;
    }
    var dy_place = r * dy_chunks;
    for (var k = 0u; k < count; k += 1u) {
      let left = &dy[dy_place + dy_left];
      let row = &rows[k];
      (*row)[0] = (*left)[0];
      (*row)[1] = (*left)[1];
      if (!NARROW) {
        let right = &dy[dy_place + dy_right];
        (*row)[2] = (*right)[0];
        (*row)[3] = (*right)[1];
      }
      dy_place += dy_chunks;
    }
    var lost = 0u;
    for (var k = 0u; k < gathered; k += 1u) {
      let source = gather[r + k];
      let block = &x[some_source(source) * x_chunks + x_at];
      let column = &columns[k];
      (*column)[0] = (*block)[0];
      (*column)[1] = (*block)[1];
      lost += select(0u, 1u, source >= params.sources);
    }
    // Rows past the end and, if there are any, rows that meet no row of x: neither side takes part, whatever it holds.
    for (var k = select(count, 0u, lost > 0u); k < 8u; k += 1u) {
      if (k >= count || gather[r + k] >= params.sources) {
        columns[k] = Chunk();
        rows[k] = array<vec4<f32>, 4>();
      }
    }
    // Written out, for only constant indices are cheap.
    let row0 = Chunk(
      vec4<f32>(rows[0][0].x, rows[1][0].x, rows[2][0].x, rows[3][0].x),
      vec4<f32>(rows[4][0].x, rows[5][0].x, rows[6][0].x, rows[7][0].x),
    );
    sums[0] = own_row(row0, sums[0]); sums[1] = row_x(row0, sums[1]);
    sums[2] = row_y(row0, sums[2]); sums[3] = row_diagonal(row0, sums[3]);
    let row1 = Chunk(
      vec4<f32>(rows[0][0].y, rows[1][0].y, rows[2][0].y, rows[3][0].y),
      vec4<f32>(rows[4][0].y, rows[5][0].y, rows[6][0].y, rows[7][0].y),
    );
    sums[4] = own_row(row1, sums[4]); sums[5] = row_x(row1, sums[5]);
    sums[6] = row_y(row1, sums[6]); sums[7] = row_diagonal(row1, sums[7]);
    let row2 = Chunk(
      vec4<f32>(rows[0][0].z, rows[1][0].z, rows[2][0].z, rows[3][0].z),
      vec4<f32>(rows[4][0].z, rows[5][0].z, rows[6][0].z, rows[7][0].z),
    );
    sums[8] = own_row(row2, sums[8]); sums[9] = row_x(row2, sums[9]);
    sums[10] = row_y(row2, sums[10]); sums[11] = row_diagonal(row2, sums[11]);
    let row3 = Chunk(
      vec4<f32>(rows[0][0].w, rows[1][0].w, rows[2][0].w, rows[3][0].w),
      vec4<f32>(rows[4][0].w, rows[5][0].w, rows[6][0].w, rows[7][0].w),
    );
    sums[12] = own_row(row3, sums[12]); sums[13] = row_x(row3, sums[13]);
    sums[14] = row_y(row3, sums[14]); sums[15] = row_diagonal(row3, sums[15]);
    let row4 = Chunk(
      vec4<f32>(rows[0][1].x, rows[1][1].x, rows[2][1].x, rows[3][1].x),
      vec4<f32>(rows[4][1].x, rows[5][1].x, rows[6][1].x, rows[7][1].x),
    );
    sums[16] = own_row(row4, sums[16]); sums[17] = row_x(row4, sums[17]);
    sums[18] = row_y(row4, sums[18]); sums[19] = row_diagonal(row4, sums[19]);
    let row5 = Chunk(
      vec4<f32>(rows[0][1].y, rows[1][1].y, rows[2][1].y, rows[3][1].y),
      vec4<f32>(rows[4][1].y, rows[5][1].y, rows[6][1].y, rows[7][1].y),
    );
    sums[20] = own_row(row5, sums[20]); sums[21] = row_x(row5, sums[21]);
    sums[22] = row_y(row5, sums[22]); sums[23] = row_diagonal(row5, sums[23]);
    let row6 = Chunk(
      vec4<f32>(rows[0][1].z, rows[1][1].z, rows[2][1].z, rows[3][1].z),
      vec4<f32>(rows[4][1].z, rows[5][1].z, rows[6][1].z, rows[7][1].z),
    );
    sums[24] = own_row(row6, sums[24]); sums[25] = row_x(row6, sums[25]);
    sums[26] = row_y(row6, sums[26]); sums[27] = row_diagonal(row6, sums[27]);
    let row7 = Chunk(
      vec4<f32>(rows[0][1].w, rows[1][1].w, rows[2][1].w, rows[3][1].w),
      vec4<f32>(rows[4][1].w, rows[5][1].w, rows[6][1].w, rows[7][1].w),
    );
    sums[28] = own_row(row7, sums[28]); sums[29] = row_x(row7, sums[29]);
    sums[30] = row_y(row7, sums[30]); sums[31] = row_diagonal(row7, sums[31]);
    if (!NARROW) {
      let row8 = Chunk(
        vec4<f32>(rows[0][2].x, rows[1][2].x, rows[2][2].x, rows[3][2].x),
        vec4<f32>(rows[4][2].x, rows[5][2].x, rows[6][2].x, rows[7][2].x),
      );
      sums[32] = own_row(row8, sums[32]); sums[33] = row_x(row8, sums[33]);
      sums[34] = row_y(row8, sums[34]); sums[35] = row_diagonal(row8, sums[35]);
      let row9 = Chunk(
        vec4<f32>(rows[0][2].y, rows[1][2].y, rows[2][2].y, rows[3][2].y),
        vec4<f32>(rows[4][2].y, rows[5][2].y, rows[6][2].y, rows[7][2].y),
      );
      sums[36] = own_row(row9, sums[36]); sums[37] = row_x(row9, sums[37]);
      sums[38] = row_y(row9, sums[38]); sums[39] = row_diagonal(row9, sums[39]);
      let row10 = Chunk(
        vec4<f32>(rows[0][2].z, rows[1][2].z, rows[2][2].z, rows[3][2].z),
        vec4<f32>(rows[4][2].z, rows[5][2].z, rows[6][2].z, rows[7][2].z),
      );
      sums[40] = own_row(row10, sums[40]); sums[41] = row_x(row10, sums[41]);
      sums[42] = row_y(row10, sums[42]); sums[43] = row_diagonal(row10, sums[43]);
      let row11 = Chunk(
        vec4<f32>(rows[0][2].w, rows[1][2].w, rows[2][2].w, rows[3][2].w),
        vec4<f32>(rows[4][2].w, rows[5][2].w, rows[6][2].w, rows[7][2].w),
      );
      sums[44] = own_row(row11, sums[44]); sums[45] = row_x(row11, sums[45]);
      sums[46] = row_y(row11, sums[46]); sums[47] = row_diagonal(row11, sums[47]);
      let row12 = Chunk(
        vec4<f32>(rows[0][3].x, rows[1][3].x, rows[2][3].x, rows[3][3].x),
        vec4<f32>(rows[4][3].x, rows[5][3].x, rows[6][3].x, rows[7][3].x),
      );
      sums[48] = own_row(row12, sums[48]); sums[49] = row_x(row12, sums[49]);
      sums[50] = row_y(row12, sums[50]); sums[51] = row_diagonal(row12, sums[51]);
      let row13 = Chunk(
        vec4<f32>(rows[0][3].y, rows[1][3].y, rows[2][3].y, rows[3][3].y),
        vec4<f32>(rows[4][3].y, rows[5][3].y, rows[6][3].y, rows[7][3].y),
      );
      sums[52] = own_row(row13, sums[52]); sums[53] = row_x(row13, sums[53]);
      sums[54] = row_y(row13, sums[54]); sums[55] = row_diagonal(row13, sums[55]);
      let row14 = Chunk(
        vec4<f32>(rows[0][3].z, rows[1][3].z, rows[2][3].z, rows[3][3].z),
        vec4<f32>(rows[4][3].z, rows[5][3].z, rows[6][3].z, rows[7][3].z),
      );
      sums[56] = own_row(row14, sums[56]); sums[57] = row_x(row14, sums[57]);
      sums[58] = row_y(row14, sums[58]); sums[59] = row_diagonal(row14, sums[59]);
      let row15 = Chunk(
        vec4<f32>(rows[0][3].w, rows[1][3].w, rows[2][3].w, rows[3][3].w),
        vec4<f32>(rows[4][3].w, rows[5][3].w, rows[6][3].w, rows[7][3].w),
      );
      sums[60] = own_row(row15, sums[60]); sums[61] = row_x(row15, sums[61]);
      sums[62] = row_y(row15, sums[62]); sums[63] = row_diagonal(row15, sums[63]);
    }
  }
  for (var i = 0u; i < select(2u * HALF, HALF, NARROW); i += 1u) {
    // Sum i is that of row i / 4 of lane l ^ (i % 4).
    let row = first_row + i / HALF * HALF + 8u * ((i % 4u) ^ lane) + i % HALF / 4u;
    if (row < params.height && first_column < params.width) {
      store(group.z, row, first_column / 4u, sums[i][0]);
      store(group.z, row, first_column / 4u + 1u, sums[i][1]);
    }
  }
}
