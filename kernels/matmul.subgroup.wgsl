// y = act(x · Wᵀ + bias) + residual, 64 rows x 32 columns per quad of 4 lanes: the variant for SwiftShader, which runs a
// subgroup as one 4-wide vector. Right at every subgroup size, for all exchange is inside quads.
//
// Shapes: x [sources, K], w [N, K] (f32 or f16), K a multiple of 8, y [rows, columns]; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: none. Private memory:
// 3 KiB. Feature: subgroups.
// Algorithm: per step of 8 along K each lane copies its share of x (16 rows) and of W (8 columns) to private memory;
// then its rows meet its columns, and through quad swaps so do those of the other three lanes. Own work. What the shape
// follows from, read from the machine code that SwiftShader makes:
//   - a load from a storage buffer costs about 90 instructions per 4 lanes, a multiply-add from private memory with a
//     constant index 3: hence the large tile, and loading loops that stay in the instruction cache;
//   - an assignment to a variable is a masked merge of 12 instructions: hence chains of 8 multiply-adds in `let`s, and
//     8 chains side by side, which is what its 16 registers hold;
//   - the clamped index of a run-time sized array takes 4 divisions: hence blocks of 8 elements behind one index;
//   - a swap costs 1 instruction, a subgroupBroadcast 20: so lane l sums for rows l, l^1, l^2 and l^3 of each four;
//   - a short sum costs less than writing its results one by one: hence neighbouring columns, written as vectors (K = 128: 1.8 times
//     as fast).
// The order of a sum along K is the same in every place of a tile.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue|matmul-epilogue-vec4 activation quad-product quad-finish|quad-finish-vec4

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
  let chunks = params.inner / 8u;
  var rows: array<Chunk, ROW_GROUPS>; // this lane's rows of x
  var sums: array<Sums, 4u * ROW_GROUPS>;
  var row_starts: array<u32, ROW_GROUPS>;
  for (var i = 0u; i < row_groups; i += 1u) {
    row_starts[i] = source_row(first_row + 4u * i + lane) * chunks;
  }
  let first_weight = params.first_row + first_column;
  let last_weight = params.first_row + params.columns - 1u;
  for (var k = 0u; k < chunks; k += 1u) {
    for (var i = 0u; i < row_groups; i += 1u) {
      let block = &x[row_starts[i] + k];
      let row = &rows[i];
      (*row)[0] = (*block)[0];
      (*row)[1] = (*block)[1];
    }
    for (var j = 0u; j < LANE_COLUMNS; j += 1u) {
      let block = &w[min(first_weight + j, last_weight) * chunks + k];
      let column = &columns[j];
      (*column)[0] = load_weight((*block)[0]);
      (*column)[1] = load_weight((*block)[1]);
    }
    // Written out, for only constant indices are cheap.
    sums[0] = own_row(&rows[0], sums[0]); sums[1] = row_x(&rows[0], sums[1]);
    sums[2] = row_y(&rows[0], sums[2]); sums[3] = row_diagonal(&rows[0], sums[3]);
    sums[4] = own_row(&rows[1], sums[4]); sums[5] = row_x(&rows[1], sums[5]);
    sums[6] = row_y(&rows[1], sums[6]); sums[7] = row_diagonal(&rows[1], sums[7]);
    sums[8] = own_row(&rows[2], sums[8]); sums[9] = row_x(&rows[2], sums[9]);
    sums[10] = row_y(&rows[2], sums[10]); sums[11] = row_diagonal(&rows[2], sums[11]);
    sums[12] = own_row(&rows[3], sums[12]); sums[13] = row_x(&rows[3], sums[13]);
    sums[14] = row_y(&rows[3], sums[14]); sums[15] = row_diagonal(&rows[3], sums[15]);
    sums[16] = own_row(&rows[4], sums[16]); sums[17] = row_x(&rows[4], sums[17]);
    sums[18] = row_y(&rows[4], sums[18]); sums[19] = row_diagonal(&rows[4], sums[19]);
    sums[20] = own_row(&rows[5], sums[20]); sums[21] = row_x(&rows[5], sums[21]);
    sums[22] = row_y(&rows[5], sums[22]); sums[23] = row_diagonal(&rows[5], sums[23]);
    sums[24] = own_row(&rows[6], sums[24]); sums[25] = row_x(&rows[6], sums[25]);
    sums[26] = row_y(&rows[6], sums[26]); sums[27] = row_diagonal(&rows[6], sums[27]);
    sums[28] = own_row(&rows[7], sums[28]); sums[29] = row_x(&rows[7], sums[29]);
    sums[30] = row_y(&rows[7], sums[30]); sums[31] = row_diagonal(&rows[7], sums[31]);
    sums[32] = own_row(&rows[8], sums[32]); sums[33] = row_x(&rows[8], sums[33]);
    sums[34] = row_y(&rows[8], sums[34]); sums[35] = row_diagonal(&rows[8], sums[35]);
    sums[36] = own_row(&rows[9], sums[36]); sums[37] = row_x(&rows[9], sums[37]);
    sums[38] = row_y(&rows[9], sums[38]); sums[39] = row_diagonal(&rows[9], sums[39]);
    sums[40] = own_row(&rows[10], sums[40]); sums[41] = row_x(&rows[10], sums[41]);
    sums[42] = row_y(&rows[10], sums[42]); sums[43] = row_diagonal(&rows[10], sums[43]);
    sums[44] = own_row(&rows[11], sums[44]); sums[45] = row_x(&rows[11], sums[45]);
    sums[46] = row_y(&rows[11], sums[46]); sums[47] = row_diagonal(&rows[11], sums[47]);
    sums[48] = own_row(&rows[12], sums[48]); sums[49] = row_x(&rows[12], sums[49]);
    sums[50] = row_y(&rows[12], sums[50]); sums[51] = row_diagonal(&rows[12], sums[51]);
    sums[52] = own_row(&rows[13], sums[52]); sums[53] = row_x(&rows[13], sums[53]);
    sums[54] = row_y(&rows[13], sums[54]); sums[55] = row_diagonal(&rows[13], sums[55]);
    sums[56] = own_row(&rows[14], sums[56]); sums[57] = row_x(&rows[14], sums[57]);
    sums[58] = row_y(&rows[14], sums[58]); sums[59] = row_diagonal(&rows[14], sums[59]);
    sums[60] = own_row(&rows[15], sums[60]); sums[61] = row_x(&rows[15], sums[61]);
    sums[62] = row_y(&rows[15], sums[62]); sums[63] = row_diagonal(&rows[15], sums[63]);
  }
  finish_tile(first_row, 4u * row_groups, first_column, lane, &sums);
}
