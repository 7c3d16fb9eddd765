// Bottleneck adapter, 64 rows per quad of 4 lanes: the variant for SwiftShader, which runs a subgroup as one 4-wide vector.
// y = residual + scale * (act(x Wdᵀ + cd) Wuᵀ + cu)[first_column, +columns] in one launch (MATHS §2.2), weights, width,
// activation and scale from the slot of a bank that each segment names. Right at every subgroup size, for all exchange is
// inside quads.
//
// Shapes: x [R, width]; residual?, y [R, columns]; bank [slots, stride] (f32, or f16 as u32 words), a slot being
// down [max_width, width], up [out_width, max_width], down_bias [max_width], up_bias [out_width], all of these and first_column
// multiples of 8; slots [slots]: active width b, activation code, scale (bits of an f32), reserved; segments [S + 1] offsets;
// segment_slots [S], 0xffffffff for none. Units from b on are never used, whatever the slot holds there. b = 0 and no slot:
// y = residual (0 where there is none).
//
// Bindings: 7 storage buffers, 1 uniform. Workgroup memory: none. Private memory: 256 bytes and 2 KiB per 32 units, so
// max_width is at most 96; function memory: 2.5 KiB. Feature: subgroups.
//
// Algorithm: both products are passes of one loop over 32 columns each, first those of the bottleneck, then those of y:
// they share the multiply-adds, whose code is what takes long to compile. A step of 8 along K copies each lane's share of
// the rows (16 of x, or of the bottleneck u, which never leaves private memory) and of the weights (8 columns), and
// kernels/lib/quad-product.wgsl multiplies. Lane l holds columns 8l .. 8l + 7 of a pass: a block of a row of y as it lies in
// memory, and after a swap a block of u in the lane of its row. Own work. On SwiftShader a storage load costs about 90
// instructions per 4 lanes, and the clamped index of a run-time sized array 4 divisions: hence the large tile, and blocks of 8
// elements behind one index. The order of every sum is the same in every place of a tile.
// lib: segments activation quad-product weight-f32|weight-f16

enable subgroups;

// --- parameters
const UNIT_BLOCKS: u32 = 1u; // blocks of 32 units that max_width takes
const QUADS: u32 = 1u; // of a workgroup
// --- end parameters

struct Params {
  segments: u32,
  tiles: u32,
  width: u32, // of x
  max_width: u32,
  out_width: u32, // rows of up
  first_column: u32, // the row of up that gives column 0
  columns: u32, // of y
  has_residual: u32,
}

alias WeightChunk = array<weight_vec4, 2>; // 8 weights

@group(0) @binding(0) var<storage, read> x: array<Chunk>;
@group(0) @binding(1) var<storage, read> residual: array<Chunk>;
@group(0) @binding(2) var<storage, read> bank: array<WeightChunk>;
@group(0) @binding(3) var<storage, read> slots: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> segments: array<u32>;
@group(0) @binding(5) var<storage, read> segment_slots: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<Chunk>;
@group(0) @binding(7) var<uniform> params: Params;

const ROW_GROUPS: u32 = 16u; // of 4 rows, one per lane
const TILE_ROWS: u32 = 4u * ROW_GROUPS * QUADS; // of a workgroup
const UNIT_CHUNKS: u32 = 4u * UNIT_BLOCKS;
const NO_SLOT: u32 = 0xffffffffu;

alias Rows = array<Chunk, ROW_GROUPS>; // rows 4i + l of x or u, in lane l
alias TileSums = array<Sums, 4u * ROW_GROUPS>; // 4i + d: row 4i + (l^d), in lane l

var<private> u: array<Chunk, ROW_GROUPS * UNIT_CHUNKS>; // the bottleneck of the lane's rows

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

// What a slot of the bank holds; positions are in chunks.
struct Slot {
  start: u32,
  width: u32, // active width; 0: no adapter
  activation: u32,
  scale: f32,
}

fn find_slot(index: u32) -> Slot {
  if (index == NO_SLOT) {
    return Slot(0u, 0u, 0u, 0.0);
  }
  let stride = ((params.width + params.out_width) * params.max_width + params.max_width + params.out_width) / 8u;
  let record = slots[index];
  return Slot(index * stride, min(record.x, params.max_width), record.y, bitcast<f32>(record.z));
}

// One of the two products of an adapter.
struct Product {
  inner: u32, // length of its sums
  outputs: u32,
  weights: u32, // first chunk of its weights,
  weight_chunks: u32, // those of a row of them
  bias: u32, // and first chunk of its bias
}

fn down_product(slot: Slot) -> Product {
  let chunks = params.width / 8u;
  let bias = slot.start + (params.width + params.out_width) * params.max_width / 8u;
  return Product(params.width, slot.width, slot.start, chunks, bias);
}

fn up_product(slot: Slot) -> Product {
  let row = params.max_width / 8u;
  let start = slot.start + params.width * row;
  let bias = start + params.out_width * row + row + params.first_column / 8u;
  return Product(slot.width, params.columns, start + params.first_column * row, row, bias);
}

fn load_chunk(at: u32) -> Chunk {
  let block = &bank[at];
  return Chunk(load_weight((*block)[0]), load_weight((*block)[1]));
}

fn below(first: u32, end: u32) -> vec4<bool> {
  return (first + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(end);
}

// Elements first .. first + 7, zeros from `end` on: a slot may hold anything there, NaN included.
fn only(chunk: Chunk, first: u32, end: u32) -> Chunk {
  let none = vec4<f32>(0.0);
  return Chunk(select(none, chunk[0], below(first, end)), select(none, chunk[1], below(first + 4u, end)));
}

// Fills `columns` with chunk k of this lane's 8 columns of a pass.
fn load_columns(product: Product, first_column: u32, k: u32) {
  let last = product.outputs - 1u;
  for (var j = 0u; j < 8u; j += 1u) {
    let block = &bank[product.weights + min(first_column + j, last) * product.weight_chunks + k];
    let column = &columns[j];
    (*column)[0] = load_weight((*block)[0]);
    (*column)[1] = load_weight((*block)[1]);
  }
  if (8u * k + 8u > product.inner) {
    for (var j = 0u; j < 8u; j += 1u) {
      columns[j] = only(columns[j], 8u * k, product.inner);
    }
  }
}

// Moves 32 units of the rows from `sums`, a block of 8 per lane, to u, all of a row in its lane.
fn keep_units(slot: Slot, product: Product, block: u32, lane: u32, groups: u32, sums: ptr<function, TileSums>) {
  let unit = 32u * block + 8u * lane;
  let shift = load_chunk(product.bias + min(unit, params.max_width - 8u) / 8u);
  for (var i = 0u; i < groups; i += 1u) {
    for (var d = 4u * i; d < 4u * i + 4u; d += 1u) {
      let low = activate4(slot.activation, (*sums)[d][0] + shift[0]);
      let high = activate4(slot.activation, (*sums)[d][1] + shift[1]);
      (*sums)[d] = only(Chunk(low, high), unit, slot.width);
    }
    let at = i * UNIT_CHUNKS + 4u * block;
    let s = &(*sums)[4u * i];
    let sx = &(*sums)[4u * i + 1u];
    let sy = &(*sums)[4u * i + 2u];
    let sd = &(*sums)[4u * i + 3u];
    u[at + lane] = *s;
    u[at + (lane ^ 1u)] = Chunk(quadSwapX((*sx)[0]), quadSwapX((*sx)[1]));
    u[at + (lane ^ 2u)] = Chunk(quadSwapY((*sy)[0]), quadSwapY((*sy)[1]));
    u[at + (lane ^ 3u)] = Chunk(quadSwapDiagonal((*sd)[0]), quadSwapDiagonal((*sd)[1]));
  }
}

// Writes 8 columns of the quad's rows, those before `end`, from `sums`.
fn write_columns(slot: Slot, product: Product, quad_row: u32, end: u32, chunk: u32, lane: u32, sums: ptr<function, TileSums>) {
  let chunks = params.columns / 8u;
  if (chunk >= chunks) {
    return;
  }
  let shift = load_chunk(product.bias + chunk);
  for (var i = 0u; i < 4u * ROW_GROUPS; i += 1u) {
    let row = quad_row + (i ^ lane);
    if (row < end) {
      let at = row * chunks + chunk;
      var low = slot.scale * ((*sums)[i][0] + shift[0]);
      var high = slot.scale * ((*sums)[i][1] + shift[1]);
      if (params.has_residual != 0u) {
        let block = &residual[at];
        low += (*block)[0];
        high += (*block)[1];
      }
      let result = &y[at];
      (*result)[0] = low;
      (*result)[1] = high;
    }
  }
}

// y = residual, where a segment has no adapter: this lane's rows.
fn copy_residual(first_row: u32, end: u32) {
  let chunks = params.columns / 8u;
  for (var i = 0u; i < ROW_GROUPS; i += 1u) {
    let row = first_row + 4u * i;
    for (var at = row * chunks; row < end && at < (row + 1u) * chunks; at += 1u) {
      if (params.has_residual != 0u) {
        y[at] = residual[at];
      } else {
        y[at] = Chunk();
      }
    }
  }
}

@compute @workgroup_size(4u * QUADS)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let index = wid.x + wid.y * workgroups.x;
  if (index >= params.tiles) {
    return;
  }
  let tile = find_tile(0u, params.segments, TILE_ROWS, index);
  if (tile.first >= tile.end) {
    return;
  }
  let lane = subgroup_lane % 4u;
  let quad_row = tile.first + local / 4u * (4u * ROW_GROUPS);
  let slot = find_slot(segment_slots[tile.segment]);
  if (slot.width == 0u) {
    copy_residual(quad_row + lane, tile.end);
    return;
  }
  // Row groups in use. Lanes past the segment's end take its last row again and write nothing.
  let groups = min((tile.end - tile.first + 3u) / 4u, ROW_GROUPS);
  let unit_blocks = (slot.width + 31u) / 32u;
  let passes = unit_blocks + (params.columns + 31u) / 32u;
  var rows: Rows;
  var sums: TileSums;
  for (var turn = 0u; turn < passes; turn += 1u) {
    let down = turn < unit_blocks;
    var product = down_product(slot);
    var block = turn;
    if (!down) {
      product = up_product(slot);
      block = turn - unit_blocks;
    }
    sums = TileSums();
    let chunks = (product.inner + 7u) / 8u;
    for (var k = 0u; k < chunks; k += 1u) {
      load_columns(product, 32u * block + 8u * lane, k);
      if (down) {
        for (var i = 0u; i < groups; i += 1u) {
          let source = &x[min(quad_row + 4u * i + lane, tile.end - 1u) * chunks + k];
          let row = &rows[i];
          (*row)[0] = (*source)[0];
          (*row)[1] = (*source)[1];
        }
      } else {
        for (var i = 0u; i < groups; i += 1u) {
          let source = &u[i * UNIT_CHUNKS + k];
          let row = &rows[i];
          (*row)[0] = (*source)[0];
          (*row)[1] = (*source)[1];
        }
      }
      // Written out, for only constant indices are cheap; a short tile skips what it does not hold.
      sums[0] = own_row(&rows[0], sums[0]); sums[1] = row_x(&rows[0], sums[1]);
      sums[2] = row_y(&rows[0], sums[2]); sums[3] = row_diagonal(&rows[0], sums[3]);
      sums[4] = own_row(&rows[1], sums[4]); sums[5] = row_x(&rows[1], sums[5]);
      sums[6] = row_y(&rows[1], sums[6]); sums[7] = row_diagonal(&rows[1], sums[7]);
      sums[8] = own_row(&rows[2], sums[8]); sums[9] = row_x(&rows[2], sums[9]);
      sums[10] = row_y(&rows[2], sums[10]); sums[11] = row_diagonal(&rows[2], sums[11]);
      sums[12] = own_row(&rows[3], sums[12]); sums[13] = row_x(&rows[3], sums[13]);
      sums[14] = row_y(&rows[3], sums[14]); sums[15] = row_diagonal(&rows[3], sums[15]);
      if (groups > 4u) {
        sums[16] = own_row(&rows[4], sums[16]); sums[17] = row_x(&rows[4], sums[17]);
        sums[18] = row_y(&rows[4], sums[18]); sums[19] = row_diagonal(&rows[4], sums[19]);
        sums[20] = own_row(&rows[5], sums[20]); sums[21] = row_x(&rows[5], sums[21]);
        sums[22] = row_y(&rows[5], sums[22]); sums[23] = row_diagonal(&rows[5], sums[23]);
        sums[24] = own_row(&rows[6], sums[24]); sums[25] = row_x(&rows[6], sums[25]);
        sums[26] = row_y(&rows[6], sums[26]); sums[27] = row_diagonal(&rows[6], sums[27]);
        sums[28] = own_row(&rows[7], sums[28]); sums[29] = row_x(&rows[7], sums[29]);
        sums[30] = row_y(&rows[7], sums[30]); sums[31] = row_diagonal(&rows[7], sums[31]);
      }
      if (groups > 8u) {
        sums[32] = own_row(&rows[8], sums[32]); sums[33] = row_x(&rows[8], sums[33]);
        sums[34] = row_y(&rows[8], sums[34]); sums[35] = row_diagonal(&rows[8], sums[35]);
        sums[36] = own_row(&rows[9], sums[36]); sums[37] = row_x(&rows[9], sums[37]);
        sums[38] = row_y(&rows[9], sums[38]); sums[39] = row_diagonal(&rows[9], sums[39]);
        sums[40] = own_row(&rows[10], sums[40]); sums[41] = row_x(&rows[10], sums[41]);
        sums[42] = row_y(&rows[10], sums[42]); sums[43] = row_diagonal(&rows[10], sums[43]);
        sums[44] = own_row(&rows[11], sums[44]); sums[45] = row_x(&rows[11], sums[45]);
        sums[46] = row_y(&rows[11], sums[46]); sums[47] = row_diagonal(&rows[11], sums[47]);
      }
      if (groups > 12u) {
        sums[48] = own_row(&rows[12], sums[48]); sums[49] = row_x(&rows[12], sums[49]);
        sums[50] = row_y(&rows[12], sums[50]); sums[51] = row_diagonal(&rows[12], sums[51]);
        sums[52] = own_row(&rows[13], sums[52]); sums[53] = row_x(&rows[13], sums[53]);
        sums[54] = row_y(&rows[13], sums[54]); sums[55] = row_diagonal(&rows[13], sums[55]);
        sums[56] = own_row(&rows[14], sums[56]); sums[57] = row_x(&rows[14], sums[57]);
        sums[58] = row_y(&rows[14], sums[58]); sums[59] = row_diagonal(&rows[14], sums[59]);
        sums[60] = own_row(&rows[15], sums[60]); sums[61] = row_x(&rows[15], sums[61]);
        sums[62] = row_y(&rows[15], sums[62]); sums[63] = row_diagonal(&rows[15], sums[63]);
      }
    }
    if (down) {
      keep_units(slot, product, block, lane, groups, &sums);
    } else {
      write_columns(slot, product, quad_row, tile.end, 4u * block + lane, lane, &sums);
    }
  }
}
