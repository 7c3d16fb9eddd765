// The bottleneck of 4 rows in one invocation, shared by the adapter variants that read four elements at a time:
// u = act(x Wdᵀ + cd) stays in private memory, then y = residual + scale * (u Wuᵀ + cu), COLUMNS of it.
//
// Both products run over tiles of 16 outputs as four 4x4 matrices (a column per row of x): S += W-tile * X-tile, so every
// loaded vec4 serves 16 multiply-adds. A column never meets another one: a row's bits do not depend on its neighbours.
//
// The kernel that appends this declares the parameters and bindings, and how 4 rows of weights are loaded:
//   fn own_weight_rows(j: u32, last: u32) -> vec4<u32>          the rows j .. j + 3, at most `last`, this invocation loads
//   fn weight_tile(at: vec4<u32>, c: u32) -> mat4x4<f32>        chunk c of the weight rows that start at `at`, a row per output

const X_CHUNKS: u32 = WIDTH / 4u;
const U_CHUNKS: u32 = MAX_WIDTH / 4u;
const Y_CHUNKS: u32 = COLUMNS / 4u;
const NO_SLOT: u32 = 0xffffffffu;

// A slot of the bank: the positions of its parts, in vec4, and what it holds.
struct Slot {
  down: u32,
  up: u32, // its row that gives column 0
  down_bias: u32,
  up_bias: u32, // that of column 0
  width: u32, // active width; 0: no adapter
  activation: u32,
  scale: f32,
}

fn find_slot(index: u32) -> Slot {
  if (index == NO_SLOT) {
    return Slot(0u, 0u, 0u, 0u, 0u, 0u, 0.0);
  }
  let down = index * (STRIDE / 4u);
  let up = down + MAX_WIDTH * X_CHUNKS;
  let down_bias = up + OUT_WIDTH * U_CHUNKS;
  let up_bias = down_bias + U_CHUNKS + params.first_column / 4u;
  let record = slots[index];
  return Slot(down, up + params.first_column * U_CHUNKS, down_bias, up_bias, min(record.x, MAX_WIDTH), record.y, bitcast<f32>(record.z));
}

// u[k]: bottleneck units 4k .. 4k + 3, a column per row of x. A tile of 16 may pass MAX_WIDTH.
var<private> u: array<mat4x4<f32>, (MAX_WIDTH + 15u) / 16u * 4u>;

fn below(first: u32, width: u32) -> vec4<bool> {
  return (first + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(width);
}

// Fills u from these rows of x.
fn project_down(slot: Slot, x_rows: vec4<u32>) {
  let at = x_rows * X_CHUNKS;
  let last = slot.width - 1u;
  for (var j = 0u; j < slot.width; j += 16u) {
    let ra = slot.down + own_weight_rows(j, last) * X_CHUNKS;
    let rb = slot.down + own_weight_rows(j + 4u, last) * X_CHUNKS;
    let rc = slot.down + own_weight_rows(j + 8u, last) * X_CHUNKS;
    let rd = slot.down + own_weight_rows(j + 12u, last) * X_CHUNKS;
    var a = mat4x4<f32>();
    var b = mat4x4<f32>();
    var c = mat4x4<f32>();
    var d = mat4x4<f32>();
    for (var i = 0u; i < X_CHUNKS; i += 1u) {
      let rows = mat4x4<f32>(x[at.x + i], x[at.y + i], x[at.z + i], x[at.w + i]);
      a += weight_tile(ra, i) * rows;
      b += weight_tile(rb, i) * rows;
      c += weight_tile(rc, i) * rows;
      d += weight_tile(rd, i) * rows;
    }
    let k = j / 4u;
    u[k] = a;
    u[k + 1u] = b;
    u[k + 2u] = c;
    u[k + 3u] = d;
  }
  for (var k = 0u; k * 4u < slot.width; k += 1u) {
    let shift = load_weight(bank[slot.down_bias + k]);
    let used = below(4u * k, slot.width);
    for (var r = 0u; r < 4u; r += 1u) {
      u[k][r] = select(vec4<f32>(0.0), activate4(slot.activation, u[k][r] + shift), used);
    }
  }
}

// Writes chunk c of the 4 rows that start at chunks `at`, those before `count`: sum is a column per row.
fn write_chunk(slot: Slot, at: vec4<u32>, count: u32, c: u32, sum: mat4x4<f32>) {
  if (c >= Y_CHUNKS) {
    return;
  }
  let shift = load_weight(bank[slot.up_bias + c]);
  for (var r = 0u; r < count; r += 1u) {
    var value = slot.scale * (sum[r] + shift);
    if (HAS_RESIDUAL) {
      value += residual[at[r] + c];
    }
    y[at[r] + c] = value;
  }
}

// A weight tile without the columns of unused units: a slot may hold anything there, NaN included.
fn only(used: vec4<bool>, tile: mat4x4<f32>) -> mat4x4<f32> {
  let none = vec4<f32>(0.0);
  return mat4x4<f32>(
    select(none, tile[0], used.x),
    select(none, tile[1], used.y),
    select(none, tile[2], used.z),
    select(none, tile[3], used.w),
  );
}

// Writes these 4 rows of y, those before `count`, from u.
fn project_up(slot: Slot, y_rows: vec4<u32>, count: u32) {
  let at = y_rows * Y_CHUNKS;
  let whole = slot.width / 4u;
  let used = below(4u * whole, slot.width);
  for (var j = 0u; j < COLUMNS; j += 16u) {
    let ra = slot.up + own_weight_rows(j, COLUMNS - 1u) * U_CHUNKS;
    let rb = slot.up + own_weight_rows(j + 4u, COLUMNS - 1u) * U_CHUNKS;
    let rc = slot.up + own_weight_rows(j + 8u, COLUMNS - 1u) * U_CHUNKS;
    let rd = slot.up + own_weight_rows(j + 12u, COLUMNS - 1u) * U_CHUNKS;
    var a = mat4x4<f32>();
    var b = mat4x4<f32>();
    var c = mat4x4<f32>();
    var d = mat4x4<f32>();
    for (var k = 0u; k < whole; k += 1u) {
      let units = u[k];
      a += weight_tile(ra, k) * units;
      b += weight_tile(rb, k) * units;
      c += weight_tile(rc, k) * units;
      d += weight_tile(rd, k) * units;
    }
    if (whole * 4u < slot.width) {
      let units = u[whole];
      a += only(used, weight_tile(ra, whole)) * units;
      b += only(used, weight_tile(rb, whole)) * units;
      c += only(used, weight_tile(rc, whole)) * units;
      d += only(used, weight_tile(rd, whole)) * units;
    }
    let first = j / 4u;
    write_chunk(slot, at, count, first, a);
    write_chunk(slot, at, count, first + 1u, b);
    write_chunk(slot, at, count, first + 2u, c);
    write_chunk(slot, at, count, first + 3u, d);
  }
}

// y = residual, where a segment has no adapter.
fn copy_residual(y_rows: vec4<u32>, count: u32) {
  let at = y_rows * Y_CHUNKS;
  for (var r = 0u; r < count; r += 1u) {
    for (var c = 0u; c < Y_CHUNKS; c += 1u) {
      var value = vec4<f32>(0.0);
      if (HAS_RESIDUAL) {
        value = residual[at[r] + c];
      }
      y[at[r] + c] = value;
    }
  }
}
