// Bottleneck adapter, workgroup variant: any widths and columns.
// y = residual + scale * (act(x Wdᵀ + cd) Wuᵀ + cu)[first_column, +COLUMNS] in one launch (MATHS §2.2), weights, width,
// activation and scale from the slot of a bank that each segment names.
//
// Shapes: x [R, WIDTH]; residual?, y [R, COLUMNS]; bank [slots, STRIDE] (f32, or f16 as u32 words), a slot being
// down [MAX_WIDTH, WIDTH], up [OUT_WIDTH, MAX_WIDTH], down_bias [MAX_WIDTH], up_bias [OUT_WIDTH]; slots [slots]: active width b,
// activation code, scale (bits of an f32), reserved; segments [S + 1] offsets; segment_slots [S], 0xffffffff for none. Units
// from b on are never used, whatever the slot holds there. b = 0 and no slot: y = residual (0 where there is none).
//
// A workgroup computes 4 rows of one segment, a row per component of its sums. Its invocations share out the bottleneck
// units, meet once at a barrier, and share out the columns of the result; every weight is read once per workgroup. Rows are
// read in items of four elements where all widths, and the columns, are multiples of 4. Rows never meet: a row's bits do not
// depend on its neighbours.
//
// Limits: 7 storage buffers, MAX_WIDTH * 16 bytes of workgroup memory, WORKGROUP invocations per workgroup.
// lib: segments activation item-scalar|item-vec4 word-f32|word-f16-scalar|word-f16-vec4

// --- parameters
const WIDTH: u32 = 16u; // of x
const MAX_WIDTH: u32 = 8u;
const OUT_WIDTH: u32 = 16u; // rows of up
const COLUMNS: u32 = 16u; // of y
const STRIDE: u32 = 280u; // elements of a slot, a multiple of 4
const HAS_RESIDUAL: bool = true;
const WORKGROUP: u32 = 16u;
// --- end parameters

struct Params {
  segments: u32,
  tiles: u32,
  first_column: u32, // the row of up that gives column 0
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> residual: array<item>;
@group(0) @binding(2) var<storage, read> bank: array<word_unit>;
@group(0) @binding(3) var<storage, read> slots: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> segments: array<u32>;
@group(0) @binding(5) var<storage, read> segment_slots: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

const NO_SLOT: u32 = 0xffffffffu;
const X_ITEMS: u32 = WIDTH / ITEM;
const U_ITEMS: u32 = MAX_WIDTH / ITEM;

var<workgroup> u: array<vec4<f32>, MAX_WIDTH>; // a component per row

// Item `at` of the bank, counted in items.
fn weight(at: u32) -> item {
  return load_word(bank[word_index(at)], at);
}

// Element `at` of the bank, counted in elements.
fn weight_element(at: u32) -> f32 {
  return item_to_vec4(weight(at / ITEM))[at % ITEM];
}

// The products of a weight item with the same item of 4 rows, a component per row.
fn row_products(w: item, at: vec4<u32>, c: u32) -> vec4<f32> {
  return vec4<f32>(item_sum(w * x[at.x + c]), item_sum(w * x[at.y + c]), item_sum(w * x[at.z + c]), item_sum(w * x[at.w + c]));
}

// Output element c of the 4 rows before bias and scale, from u.
fn up_sums(row_at: u32, width: u32) -> vec4<f32> {
  var sums = vec4<f32>(0.0);
  let whole = width / ITEM;
  for (var k = 0u; k < whole; k += 1u) {
    let w = item_to_vec4(weight(row_at / ITEM + k));
    sums += w.x * u[k * ITEM];
    if (ITEM == 4u) {
      sums += w.y * u[k * 4u + 1u];
      sums += w.z * u[k * 4u + 2u];
      sums += w.w * u[k * 4u + 3u];
    }
  }
  for (var j = whole * ITEM; j < width; j += 1u) {
    sums += weight_element(row_at + j) * u[j];
  }
  return sums;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = wid.x + wid.y * groups.x;
  if (index >= params.tiles) {
    return;
  }
  let tile = find_tile(0u, params.segments, 4u, index);
  if (tile.first >= tile.end) {
    return;
  }
  let count = min(4u, tile.end - tile.first);
  let slot = segment_slots[tile.segment];
  var record = vec4<u32>(0u);
  if (slot != NO_SLOT) {
    record = slots[slot];
  }
  let width = min(record.x, MAX_WIDTH);
  let down = select(slot, 0u, slot == NO_SLOT) * STRIDE;
  let up = down + MAX_WIDTH * WIDTH;
  let down_bias = up + OUT_WIDTH * MAX_WIDTH;
  let up_bias = down_bias + MAX_WIDTH;
  // Rows past the segment's end are its last row again; they are not written.
  let at = min(tile.first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tile.end - 1u)) * X_ITEMS;
  for (var j = lane; j < width; j += WORKGROUP) {
    var sums = vec4<f32>(0.0);
    for (var c = 0u; c < X_ITEMS; c += 1u) {
      sums += row_products(weight((down / ITEM) + j * X_ITEMS + c), at, c);
    }
    u[j] = activate4(record.y, sums + weight_element(down_bias + j));
  }
  workgroupBarrier();
  let scale = bitcast<f32>(record.z);
  for (var c = lane; c < COLUMNS; c += WORKGROUP) {
    let unit = params.first_column + c;
    var change = vec4<f32>(0.0);
    if (width > 0u) {
      change = scale * (up_sums(up + unit * MAX_WIDTH, width) + weight_element(up_bias + unit));
    }
    for (var r = 0u; r < count; r += 1u) {
      let element = (tile.first + r) * COLUMNS + c;
      var value = change[r];
      if (HAS_RESIDUAL) {
        value += item_to_vec4(residual[element / ITEM])[element % ITEM];
      }
      y[element] = value;
    }
  }
}
