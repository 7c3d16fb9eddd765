// y = act(x · W + bias) + residual, W as it stands, 64 rows x 32 columns per quad of 4 lanes: the variant for SwiftShader, which
// runs a subgroup as one 4-wide vector. Right at every subgroup size, for all exchange is inside quads.
//
// Shapes: x [sources, N], w [first + N or more, K] (f32 or f16), y [rows, K]; N and K are multiples of 8; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: none. Private memory: 3 KiB.
// Feature: subgroups.
// Algorithm: that of matmul.subgroup, whose header says what its shape follows from; but here a lane's 8 columns are neighbours, and
// their share of 8 rows of W is copied as it lies. The order of a sum along N is the same in every place of a tile. Own work.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue-vec4 activation quad-outer-product quad-finish-vec4

enable subgroups;

// --- parameters
const ACTIVATION: u32 = 0u;
const QUADS: u32 = 1u; // of a workgroup
// --- end parameters

alias WeightChunk = array<weight_vec4, 2>;

@group(0) @binding(0) var<storage, read> x: array<Chunk>;
@group(0) @binding(1) var<storage, read> w: array<WeightChunk>;

const ROW_GROUPS: u32 = 16u; // of 4 rows, one per lane
const LANE_COLUMNS: u32 = 8u; // column j of lane l is 8 l + j

@compute @workgroup_size(4u * QUADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let lane = subgroup_lane % 4u;
  let tile = (group.x + group.y * groups.x) * QUADS + local / 4u;
  let tiles = (params.columns + 4u * LANE_COLUMNS - 1u) / (4u * LANE_COLUMNS);
  let first_row = tile / tiles * (4u * ROW_GROUPS);
  let first_column = tile % tiles * (4u * LANE_COLUMNS) + LANE_COLUMNS * lane;
  // Row groups of this tile that hold rows: a tile past the end, or a last tile, loads less.
  let row_groups = (min(params.rows - min(first_row, params.rows), 4u * ROW_GROUPS) + 3u) / 4u;
  let steps = params.inner / 8u;
  let chunks = params.columns / 8u;
  var rows: array<Chunk, ROW_GROUPS>; // this lane's rows of x
  var sums: array<Sums, 4u * ROW_GROUPS>;
  var row_starts: array<u32, ROW_GROUPS>;
  for (var i = 0u; i < row_groups; i += 1u) {
    row_starts[i] = source_row(first_row + 4u * i + lane) * steps;
  }
  // Past the last column a lane reads the last ones, for sums that nobody stores.
  var weight_at = params.first_row * chunks + min(first_column / 8u, chunks - 1u);
  for (var n = 0u; n < steps; n += 1u) {
    for (var i = 0u; i < row_groups; i += 1u) {
      let block = &x[row_starts[i] + n];
      let row = &rows[i];
      (*row)[0] = (*block)[0];
      (*row)[1] = (*block)[1];
    }
    for (var k = 0u; k < 8u; k += 1u) {
      let block = &w[weight_at];
      let column = &columns[k];
      (*column)[0] = load_weight((*block)[0]);
      (*column)[1] = load_weight((*block)[1]);
      weight_at += chunks;
    }
    // Written out, for only constant indices are cheap.
    let row0 = rows[0];
    sums[0] = own_row(row0, sums[0]); sums[1] = row_x(row0, sums[1]);
    sums[2] = row_y(row0, sums[2]); sums[3] = row_diagonal(row0, sums[3]);
    let row1 = rows[1];
    sums[4] = own_row(row1, sums[4]); sums[5] = row_x(row1, sums[5]);
    sums[6] = row_y(row1, sums[6]); sums[7] = row_diagonal(row1, sums[7]);
    let row2 = rows[2];
    sums[8] = own_row(row2, sums[8]); sums[9] = row_x(row2, sums[9]);
    sums[10] = row_y(row2, sums[10]); sums[11] = row_diagonal(row2, sums[11]);
    let row3 = rows[3];
    sums[12] = own_row(row3, sums[12]); sums[13] = row_x(row3, sums[13]);
    sums[14] = row_y(row3, sums[14]); sums[15] = row_diagonal(row3, sums[15]);
    let row4 = rows[4];
    sums[16] = own_row(row4, sums[16]); sums[17] = row_x(row4, sums[17]);
    sums[18] = row_y(row4, sums[18]); sums[19] = row_diagonal(row4, sums[19]);
    let row5 = rows[5];
    sums[20] = own_row(row5, sums[20]); sums[21] = row_x(row5, sums[21]);
    sums[22] = row_y(row5, sums[22]); sums[23] = row_diagonal(row5, sums[23]);
    let row6 = rows[6];
    sums[24] = own_row(row6, sums[24]); sums[25] = row_x(row6, sums[25]);
    sums[26] = row_y(row6, sums[26]); sums[27] = row_diagonal(row6, sums[27]);
    let row7 = rows[7];
    sums[28] = own_row(row7, sums[28]); sums[29] = row_x(row7, sums[29]);
    sums[30] = row_y(row7, sums[30]); sums[31] = row_diagonal(row7, sums[31]);
    let row8 = rows[8];
    sums[32] = own_row(row8, sums[32]); sums[33] = row_x(row8, sums[33]);
    sums[34] = row_y(row8, sums[34]); sums[35] = row_diagonal(row8, sums[35]);
    let row9 = rows[9];
    sums[36] = own_row(row9, sums[36]); sums[37] = row_x(row9, sums[37]);
    sums[38] = row_y(row9, sums[38]); sums[39] = row_diagonal(row9, sums[39]);
    let row10 = rows[10];
    sums[40] = own_row(row10, sums[40]); sums[41] = row_x(row10, sums[41]);
    sums[42] = row_y(row10, sums[42]); sums[43] = row_diagonal(row10, sums[43]);
    let row11 = rows[11];
    sums[44] = own_row(row11, sums[44]); sums[45] = row_x(row11, sums[45]);
    sums[46] = row_y(row11, sums[46]); sums[47] = row_diagonal(row11, sums[47]);
    let row12 = rows[12];
    sums[48] = own_row(row12, sums[48]); sums[49] = row_x(row12, sums[49]);
    sums[50] = row_y(row12, sums[50]); sums[51] = row_diagonal(row12, sums[51]);
    let row13 = rows[13];
    sums[52] = own_row(row13, sums[52]); sums[53] = row_x(row13, sums[53]);
    sums[54] = row_y(row13, sums[54]); sums[55] = row_diagonal(row13, sums[55]);
    let row14 = rows[14];
    sums[56] = own_row(row14, sums[56]); sums[57] = row_x(row14, sums[57]);
    sums[58] = row_y(row14, sums[58]); sums[59] = row_diagonal(row14, sums[59]);
    let row15 = rows[15];
    sums[60] = own_row(row15, sums[60]); sums[61] = row_x(row15, sums[61]);
    sums[62] = row_y(row15, sums[62]); sums[63] = row_diagonal(row15, sums[63]);
  }
  finish_tile(first_row, 4u * row_groups, first_column, lane, &sums);
}
