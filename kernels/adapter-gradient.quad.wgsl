// Way back through a bottleneck adapter, 64 rows per quad of 4 lanes: the variant for SwiftShader, which runs a subgroup as one
// 4-wide vector. z = x Wdᵀ + cd, du = scale * (dy Wu), dz = du * act'(z), dx = dz Wd (+ dy with SKIP), u = scale * act(z), in one
// launch (MATHS §2.2), weights, width, activation and scale from the slot of a bank that each segment names. Right at every
// subgroup size, for all exchange is inside quads.
//
// Shapes: x, dx [R, width]; dy [R, columns]; dz, u [R, max_width]; bank [slots, stride] (f32, or f16 as u32 words), a slot being
// down [max_width, width], up [out_width, max_width], down_bias [max_width], up_bias [out_width], all of these and first_column
// multiples of 8; table [tiles], the rows of every tile and what its slot is (kernels/lib/adapter-tile-table.wgsl). Units from the
// active width b on are never used, whatever the slot holds there. b = 0 and no slot: dx = 0 (dy with SKIP). dz and u are 0 in
// units from b on and in tiles that are not trained.
//
// Bindings: 4 storage buffers and up to 3 for outputs, 1 uniform. Workgroup memory: none. Private memory: 384 bytes and 2 KiB per
// 32 units, so max_width is at most 96; function memory: 3 KiB. Feature: subgroups.
//
// Algorithm: that of adapter.quad.wgsl with three kinds of passes over 32 columns: those of z, those of du, which meet z in private
// memory and leave dz there, and those of dx. Weights of du and dx lie with their columns along a row: a lane loads 8 rows of 8
// and turns them, 64 moves for 4,096 multiply-adds. Lane l holds columns 8l .. 8l + 7 of a pass; a swap brings a block of units into
// the lane of its row. The order of every sum is the same in every place of a tile. Own work.
// lib: adapter-tile-table activation activation-gradient quad-product weight-f32|weight-f16 adapter-output-dx|adapter-no-dx adapter-output-units|adapter-no-units

enable subgroups;

// --- parameters
const UNIT_BLOCKS: u32 = 1u; // blocks of 32 units that max_width takes
const QUADS: u32 = 1u; // of a workgroup
const SKIP: bool = false; // width = columns
// --- end parameters

struct Params {
  tiles: u32,
  width: u32, // of x
  max_width: u32,
  out_width: u32, // rows of up
  first_column: u32, // the row of up that gave column 0
  columns: u32, // of dy
}

alias WeightChunk = array<weight_vec4, 2>; // 8 weights
alias dx_item = Chunk;
alias unit_item = Chunk;

@group(0) @binding(0) var<storage, read> x: array<Chunk>;
@group(0) @binding(1) var<storage, read> dy: array<Chunk>;
@group(0) @binding(2) var<storage, read> bank: array<WeightChunk>;
@group(0) @binding(3) var<storage, read> table: array<AdapterTile>;
@group(0) @binding(7) var<uniform> params: Params;

const ROW_GROUPS: u32 = 16u; // of 4 rows, one per lane
const UNIT_CHUNKS: u32 = 4u * UNIT_BLOCKS;
const DOWN: u32 = 0u; // kinds of passes
const UP: u32 = 1u;
const BACK: u32 = 2u;

alias Rows = array<Chunk, ROW_GROUPS>; // rows 4i + l of what is multiplied, in lane l
alias TileSums = array<Sums, 4u * ROW_GROUPS>; // 4i + d: row 4i + (l^d), in lane l

var<private> units: array<Chunk, ROW_GROUPS * UNIT_CHUNKS>; // z, later dz, of the lane's rows
var<private> block_units: array<Chunk, 4>; // a block of one of them

// What a slot of the bank holds; positions are in chunks.
struct Slot {
  start: u32,
  width: u32, // active width; 0: no adapter
  activation: u32,
  scale: f32,
}

fn slot_of(tile: AdapterTile) -> Slot {
  let stride = ((params.width + params.out_width) * params.max_width + params.max_width + params.out_width) / 8u;
  return Slot(tile.slot * stride, tile.width, tile.activation, tile.scale);
}

// One of the three products.
struct Product {
  inner: u32, // length of its sums
  outputs: u32,
  weights: u32, // first chunk of its weights,
  weight_chunks: u32, // those of a row of them
}

fn product_of(kind: u32, slot: Slot) -> Product {
  let down = params.width / 8u;
  let up = params.max_width / 8u;
  switch kind {
    case DOWN: { return Product(params.width, slot.width, slot.start, down); }
    case UP: {
      let start = slot.start + params.width * up + params.first_column * up;
      return Product(params.columns, slot.width, start, up);
    }
    default: { return Product(slot.width, params.width, slot.start, down); }
  }
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

// Fills `columns` with chunk k of this lane's 8 columns of a pass, each a row of the weights.
fn load_columns(product: Product, first_column: u32, k: u32) {
  let last = product.outputs - 1u;
  for (var j = 0u; j < 8u; j += 1u) {
    let block = &bank[product.weights + min(first_column + j, last) * product.weight_chunks + k];
    let column = &columns[j];
    (*column)[0] = load_weight((*block)[0]);
    (*column)[1] = load_weight((*block)[1]);
  }
}

// The same where the columns lie along the rows of the weights. Past the last row that counts it is taken again, times 0.
fn turn_columns(product: Product, first_column: u32, k: u32) {
  let last = product.inner - 1u;
  let chunk = product.weights + min(first_column / 8u, product.weight_chunks - 1u);
  for (var half = 0u; half < 2u; half += 1u) {
    let row = 8u * k + 4u * half;
    let a = load_chunk(chunk + min(row, last) * product.weight_chunks);
    let b = load_chunk(chunk + min(row + 1u, last) * product.weight_chunks);
    let c = load_chunk(chunk + min(row + 2u, last) * product.weight_chunks);
    let d = load_chunk(chunk + min(row + 3u, last) * product.weight_chunks);
    let low = transpose(mat4x4<f32>(a[0], b[0], c[0], d[0]));
    let high = transpose(mat4x4<f32>(a[1], b[1], c[1], d[1]));
    for (var j = 0u; j < 4u; j += 1u) {
      columns[j][half] = low[j];
      columns[4u + j][half] = high[j];
    }
  }
}

// Brings the 32 units of row group i to the lane of their row, as block_units.
fn gather_block(i: u32, lane: u32, sums: ptr<function, TileSums>) {
  let s = &(*sums)[4u * i];
  let sx = &(*sums)[4u * i + 1u];
  let sy = &(*sums)[4u * i + 2u];
  let sd = &(*sums)[4u * i + 3u];
  block_units[lane] = *s;
  block_units[lane ^ 1u] = Chunk(quadSwapX((*sx)[0]), quadSwapX((*sx)[1]));
  block_units[lane ^ 2u] = Chunk(quadSwapY((*sy)[0]), quadSwapY((*sy)[1]));
  block_units[lane ^ 3u] = Chunk(quadSwapDiagonal((*sd)[0]), quadSwapDiagonal((*sd)[1]));
}

// Keeps 32 units of z, a block of 8 per lane, all of a row in its lane.
fn keep_units(slot: Slot, block: u32, lane: u32, groups: u32, sums: ptr<function, TileSums>) {
  let bias = slot.start + (params.width + params.out_width) * params.max_width / 8u;
  let shift = load_chunk(bias + min(4u * block + lane, params.max_width / 8u - 1u));
  for (var i = 0u; i < groups; i += 1u) {
    for (var d = 4u * i; d < 4u * i + 4u; d += 1u) {
      (*sums)[d][0] += shift[0];
      (*sums)[d][1] += shift[1];
    }
    gather_block(i, lane, sums);
    for (var q = 0u; q < 4u; q += 1u) {
      units[i * UNIT_CHUNKS + 4u * block + q] = block_units[q];
    }
  }
}

// Turns 32 units from z into dz, where `sums` is dy Wu, and writes dz and u of the lane's rows before `end` where `trained`.
fn settle_units(slot: Slot, first_row: u32, end: u32, trained: bool, block: u32, lane: u32, groups: u32, sums: ptr<function, TileSums>) {
  let chunks = params.max_width / 8u;
  for (var i = 0u; i < groups; i += 1u) {
    gather_block(i, lane, sums);
    let row = first_row + 4u * i;
    for (var q = 0u; q < 4u; q += 1u) {
      let chunk = 4u * block + q;
      let z = &units[i * UNIT_CHUNKS + chunk];
      let low = slot.scale * block_units[q][0] * activation_slope4(slot.activation, (*z)[0]);
      let high = slot.scale * block_units[q][1] * activation_slope4(slot.activation, (*z)[1]);
      let gradient = only(Chunk(low, high), 8u * chunk, slot.width);
      if (trained && row < end && chunk < chunks) {
        let value = Chunk(slot.scale * activate4(slot.activation, (*z)[0]), slot.scale * activate4(slot.activation, (*z)[1]));
        put_units(row * chunks + chunk, gradient, only(value, 8u * chunk, slot.width));
      }
      *z = gradient;
    }
  }
}

// dz = u = 0 from chunk `first` on: this lane's rows.
fn clear_units(first_row: u32, end: u32, first: u32) {
  let chunks = params.max_width / 8u;
  for (var i = 0u; i < ROW_GROUPS; i += 1u) {
    let row = first_row + 4u * i;
    for (var chunk = first; row < end && chunk < chunks; chunk += 1u) {
      put_units(row * chunks + chunk, Chunk(), Chunk());
    }
  }
}

// Writes 8 columns of dx of the quad's rows, those before `end`, from `sums`.
fn write_columns(quad_row: u32, end: u32, chunk: u32, lane: u32, sums: ptr<function, TileSums>) {
  let chunks = params.width / 8u;
  if (chunk >= chunks) {
    return;
  }
  for (var i = 0u; i < 4u * ROW_GROUPS; i += 1u) {
    let row = quad_row + (i ^ lane);
    if (row < end) {
      let at = row * chunks + chunk;
      var low = (*sums)[i][0];
      var high = (*sums)[i][1];
      if (SKIP) {
        let block = &dy[at];
        low += (*block)[0];
        high += (*block)[1];
      }
      put_dx(at, Chunk(low, high));
    }
  }
}

// dx = 0, or dy where it is skipped to: this lane's rows of a segment without an adapter.
fn pass_by(first_row: u32, end: u32) {
  let chunks = params.width / 8u;
  for (var i = 0u; i < ROW_GROUPS; i += 1u) {
    let row = first_row + 4u * i;
    for (var at = row * chunks; row < end && at < (row + 1u) * chunks; at += 1u) {
      if (SKIP) {
        put_dx(at, dy[at]);
      } else {
        put_dx(at, Chunk());
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
  let tile = table[index];
  if (tile.first >= tile.end) {
    return;
  }
  let lane = subgroup_lane % 4u;
  let quad_row = tile.first + local / 4u * (4u * ROW_GROUPS);
  let slot = slot_of(tile);
  let trained = WANTS_UNITS && tile.trained == 1u;
  let unit_blocks = (slot.width + 31u) / 32u;
  if (WANTS_UNITS) {
    clear_units(quad_row + lane, tile.end, select(0u, 4u * unit_blocks, trained));
  }
  if (slot.width == 0u || !(WANTS_DX || trained)) {
    if (WANTS_DX) {
      pass_by(quad_row + lane, tile.end);
    }
    return;
  }
  // Row groups in use. Lanes past the segment's end take its last row again and write nothing.
  let groups = min((tile.end - tile.first + 3u) / 4u, ROW_GROUPS);
  let dx_blocks = select(0u, (params.width + 31u) / 32u, WANTS_DX);
  let passes = 2u * unit_blocks + dx_blocks;
  var rows: Rows;
  var sums: TileSums;
  for (var turn = 0u; turn < passes; turn += 1u) {
    let kind = min(turn / unit_blocks, BACK);
    let block = turn - kind * unit_blocks;
    let product = product_of(kind, slot);
    sums = TileSums();
    let chunks = (product.inner + 7u) / 8u;
    for (var k = 0u; k < chunks; k += 1u) {
      if (kind == DOWN) {
        load_columns(product, 32u * block + 8u * lane, k);
      } else {
        turn_columns(product, 32u * block + 8u * lane, k);
      }
      if (kind == BACK) {
        for (var i = 0u; i < groups; i += 1u) {
          let source = &units[i * UNIT_CHUNKS + k];
          let row = &rows[i];
          (*row)[0] = (*source)[0];
          (*row)[1] = (*source)[1];
        }
      } else if (kind == DOWN) {
        for (var i = 0u; i < groups; i += 1u) {
          let source = &x[min(quad_row + 4u * i + lane, tile.end - 1u) * chunks + k];
          let row = &rows[i];
          (*row)[0] = (*source)[0];
          (*row)[1] = (*source)[1];
        }
      } else {
        for (var i = 0u; i < groups; i += 1u) {
          let source = &dy[min(quad_row + 4u * i + lane, tile.end - 1u) * chunks + k];
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
    if (kind == DOWN) {
      keep_units(slot, block, lane, groups, &sums);
    } else if (kind == UP) {
      settle_units(slot, quad_row + lane, tile.end, trained, block, lane, groups, &sums);
    } else {
      write_columns(quad_row, tile.end, 4u * block + lane, lane, &sums);
    }
  }
}
