// Way back through a bottleneck adapter, workgroup variant: any widths and columns.
// z = x Wdᵀ + cd, du = scale * (dy Wu), dz = du * act'(z), dx = dz Wd (+ dy with SKIP), u = scale * act(z), in one launch (MATHS
// §2.2), weights, width, activation and scale from the slot of a bank that each segment names.
//
// Shapes: x, dx [R, WIDTH]; dy [R, COLUMNS]; dz, u [R, MAX_WIDTH]; bank [slots, STRIDE] (f32, or f16 as u32 words), a slot being
// down [MAX_WIDTH, WIDTH], up [OUT_WIDTH, MAX_WIDTH], down_bias [MAX_WIDTH], up_bias [OUT_WIDTH]; table [tiles], the rows of every
// tile and what its slot is (kernels/lib/adapter-tile-table.wgsl). Units from the active width b on are never used, whatever the
// slot holds there. b = 0 and no slot: dx = 0 (dy with SKIP). dz and u are 0 in units from b on and in tiles that are not trained.
//
// A workgroup computes 4 rows of one segment, a row per component of its sums. Its invocations share out the bottleneck
// units, whose z and du need nothing of each other, meet once at a barrier, and share out the columns of dx. Rows never meet: a
// row's bits do not depend on its neighbours.
//
// Limits: 4 storage buffers and up to 3 for outputs, MAX_WIDTH * 16 bytes of workgroup memory, WORKGROUP invocations per workgroup.
// lib: adapter-tile-table activation activation-gradient item-scalar|item-vec4 word-f32|word-f16-scalar|word-f16-vec4 adapter-output-dx|adapter-no-dx adapter-output-units|adapter-no-units

// --- parameters
const WIDTH: u32 = 16u; // of x
const MAX_WIDTH: u32 = 8u;
const OUT_WIDTH: u32 = 16u; // rows of up
const COLUMNS: u32 = 16u; // of dy
const STRIDE: u32 = 280u; // elements of a slot, a multiple of 4
const SKIP: bool = false; // WIDTH = COLUMNS
const WORKGROUP: u32 = 16u;
// --- end parameters

struct Params {
  tiles: u32,
  first_column: u32, // the row of up that gave column 0
}

alias dx_item = item;
alias unit_item = f32;

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> dy: array<item>;
@group(0) @binding(2) var<storage, read> bank: array<word_unit>;
@group(0) @binding(3) var<storage, read> table: array<AdapterTile>;
@group(0) @binding(7) var<uniform> params: Params;

const X_ITEMS: u32 = WIDTH / ITEM;
const Y_ITEMS: u32 = COLUMNS / ITEM;

var<workgroup> units: array<vec4<f32>, MAX_WIDTH>; // dz, a component per row

// Item `at` of the bank, counted in items.
fn weight(at: u32) -> item {
  return load_word(bank[word_index(at)], at);
}

// Element `at` of the bank, counted in elements.
fn weight_element(at: u32) -> f32 {
  return item_to_vec4(weight(at / ITEM))[at % ITEM];
}

// z of one unit in 4 rows, whose items begin at `at`, without its bias.
fn down_sums(row_at: u32, at: vec4<u32>) -> vec4<f32> {
  var sums = vec4<f32>(0.0);
  for (var c = 0u; c < X_ITEMS; c += 1u) {
    let w = weight(row_at + c);
    sums += vec4<f32>(item_sum(w * x[at.x + c]), item_sum(w * x[at.y + c]), item_sum(w * x[at.z + c]), item_sum(w * x[at.w + c]));
  }
  return sums;
}

// dy Wu of one unit in 4 rows; `up_at` is its element in the first row of up that takes part.
fn up_sums(up_at: u32, at: vec4<u32>) -> vec4<f32> {
  var sums = vec4<f32>(0.0);
  for (var c = 0u; c < Y_ITEMS; c += 1u) {
    let a = item_to_vec4(dy[at.x + c]);
    let b = item_to_vec4(dy[at.y + c]);
    let d = item_to_vec4(dy[at.z + c]);
    let e = item_to_vec4(dy[at.w + c]);
    for (var i = 0u; i < ITEM; i += 1u) {
      sums += weight_element(up_at + (c * ITEM + i) * MAX_WIDTH) * vec4<f32>(a[i], b[i], d[i], e[i]);
    }
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
  let tile = table[index];
  if (tile.first >= tile.end) {
    return;
  }
  let count = min(4u, tile.end - tile.first);
  let trained = WANTS_UNITS && tile.trained == 1u;
  let width = select(0u, tile.width, WANTS_DX || trained);
  let down = tile.slot * STRIDE;
  let up = down + MAX_WIDTH * WIDTH;
  let down_bias = up + OUT_WIDTH * MAX_WIDTH;
  // Rows past the segment's end are its last row again; they are not written.
  let rows = min(tile.first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tile.end - 1u));
  for (var j = lane; j < MAX_WIDTH; j += WORKGROUP) {
    var gradient = vec4<f32>(0.0);
    var value = vec4<f32>(0.0);
    if (j < width) {
      let z = down_sums(down / ITEM + j * X_ITEMS, rows * X_ITEMS) + weight_element(down_bias + j);
      let du = tile.scale * up_sums(up + params.first_column * MAX_WIDTH + j, rows * Y_ITEMS);
      gradient = du * activation_slope4(tile.activation, z);
      units[j] = gradient;
      if (trained) {
        value = tile.scale * activate4(tile.activation, z);
      }
    }
    for (var r = 0u; WANTS_UNITS && r < count; r += 1u) {
      put_units((tile.first + r) * MAX_WIDTH + j, select(0.0, gradient[r], trained), value[r]);
    }
  }
  workgroupBarrier();
  for (var c = lane; WANTS_DX && c < X_ITEMS; c += WORKGROUP) {
    var sums = array<item, 4>();
    if (SKIP) {
      for (var r = 0u; r < 4u; r += 1u) {
        sums[r] = dy[rows[r] * Y_ITEMS + c];
      }
    }
    for (var j = 0u; j < width; j += 1u) {
      let w = weight(down / ITEM + j * X_ITEMS + c);
      let gradient = units[j];
      for (var r = 0u; r < 4u; r += 1u) {
        sums[r] += gradient[r] * w;
      }
    }
    for (var r = 0u; r < count; r += 1u) {
      put_dx((tile.first + r) * X_ITEMS + c, sums[r]);
    }
  }
}
