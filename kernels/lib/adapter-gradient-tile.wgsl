// The way back through the bottleneck of 4 rows in one invocation, shared by the variants that read four elements at a time:
// z = x Wdᵀ + cd stays in private memory, becomes dz = scale * (dy Wu) * act'(z) there, and gives dx = dz Wd.
//
// All three products run over tiles of 16 outputs as four 4x4 matrices (a column per row of x): S += W-tile * X-tile, so every
// loaded vec4 serves 16 multiply-adds. A column never meets another one: a row's bits do not depend on its neighbours.
//
// The kernel that appends this declares the parameters and bindings, and how 4 rows of weights are loaded:
//   fn own_weight_rows(j: u32, last: u32) -> vec4<u32>          the rows j .. j + 3, at most `last`, this invocation loads
//   fn weight_rows(at: vec4<u32>, c: u32) -> mat4x4<f32>        chunk c of the weight rows that start at `at`, a column per row

const X_CHUNKS: u32 = WIDTH / 4u;
const U_CHUNKS: u32 = MAX_WIDTH / 4u;
const Y_CHUNKS: u32 = COLUMNS / 4u;

// A slot of the bank: the positions of its parts, in vec4, and what it holds.
struct Slot {
  down: u32,
  up: u32, // its row that gave column 0
  down_bias: u32,
  width: u32, // active width; 0: no adapter
  activation: u32,
  scale: f32,
}

fn slot_of(tile: AdapterTile) -> Slot {
  let down = tile.slot * (STRIDE / 4u);
  let up = down + MAX_WIDTH * X_CHUNKS;
  let first = up + params.first_column * U_CHUNKS;
  return Slot(down, first, up + OUT_WIDTH * U_CHUNKS, tile.width, tile.activation, tile.scale);
}

// units[k]: bottleneck units 4k .. 4k + 3, a column per row of x. A tile of 16 may pass MAX_WIDTH.
var<private> units: array<mat4x4<f32>, (MAX_WIDTH + 15u) / 16u * 4u>;

// Fills `units` with x Wdᵀ of these rows. What it holds past the active width is of no meaning.
fn project_down(slot: Slot, rows: vec4<u32>) {
  let at = rows * X_CHUNKS;
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
      let items = mat4x4<f32>(x[at.x + i], x[at.y + i], x[at.z + i], x[at.w + i]);
      a += transpose(weight_rows(ra, i)) * items;
      b += transpose(weight_rows(rb, i)) * items;
      c += transpose(weight_rows(rc, i)) * items;
      d += transpose(weight_rows(rd, i)) * items;
    }
    let k = j / 4u;
    units[k] = a;
    units[k + 1u] = b;
    units[k + 2u] = c;
    units[k + 3u] = d;
  }
}

// Turns chunk k of `units` from x Wdᵀ into dz, where `sums` is dy Wu, and writes the outputs of rows before `count`.
fn settle(slot: Slot, rows: vec4<u32>, count: u32, trained: bool, k: u32, sums: mat4x4<f32>) {
  if (k >= U_CHUNKS) {
    return;
  }
  let shift = load_weight(bank[slot.down_bias + k]);
  // A slot may hold anything past its width, NaN included.
  let used = (4u * k + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(slot.width);
  for (var r = 0u; r < 4u; r += 1u) {
    let z = units[k][r] + shift;
    let gradient = select(vec4<f32>(0.0), slot.scale * sums[r] * activation_slope4(slot.activation, z), used);
    units[k][r] = gradient;
    if (trained && r < count) {
      let value = select(vec4<f32>(0.0), slot.scale * activate4(slot.activation, z), used);
      put_units(rows[r] * U_CHUNKS + k, gradient, value);
    }
  }
}

// Turns `units` into dz, and writes dz and u of rows before `count` where the slot is trained.
fn return_up(slot: Slot, rows: vec4<u32>, count: u32, trained: bool) {
  let at = rows * Y_CHUNKS;
  for (var k = 0u; 4u * k < slot.width; k += 4u) {
    // Chunks past the slot's last one are computed from that, and left out.
    let chunk = min(k + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(U_CHUNKS - 1u));
    var a = mat4x4<f32>();
    var b = mat4x4<f32>();
    var c = mat4x4<f32>();
    var d = mat4x4<f32>();
    for (var i = 0u; i < Y_CHUNKS; i += 1u) {
      let items = mat4x4<f32>(dy[at.x + i], dy[at.y + i], dy[at.z + i], dy[at.w + i]);
      let own = slot.up + own_weight_rows(4u * i, COLUMNS - 1u) * U_CHUNKS;
      a += weight_rows(own, chunk.x) * items;
      b += weight_rows(own, chunk.y) * items;
      c += weight_rows(own, chunk.z) * items;
      d += weight_rows(own, chunk.w) * items;
    }
    settle(slot, rows, count, trained, k, a);
    settle(slot, rows, count, trained, k + 1u, b);
    settle(slot, rows, count, trained, k + 2u, c);
    settle(slot, rows, count, trained, k + 3u, d);
  }
}

// Writes chunk c of dx in the rows before `count`: `sum` is a column per row.
fn write_chunk(rows: vec4<u32>, count: u32, c: u32, sum: mat4x4<f32>) {
  if (c >= X_CHUNKS) {
    return;
  }
  for (var r = 0u; r < count; r += 1u) {
    var value = sum[r];
    if (SKIP) {
      value += dy[rows[r] * Y_CHUNKS + c];
    }
    put_dx(rows[r] * X_CHUNKS + c, value);
  }
}

// Writes dx of the rows before `count` from dz.
fn return_down(slot: Slot, rows: vec4<u32>, count: u32) {
  let last = slot.width - 1u;
  for (var f = 0u; f < X_CHUNKS; f += 4u) {
    let chunk = min(f + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(X_CHUNKS - 1u));
    var a = mat4x4<f32>();
    var b = mat4x4<f32>();
    var c = mat4x4<f32>();
    var d = mat4x4<f32>();
    for (var k = 0u; 4u * k < slot.width; k += 1u) {
      // Past the active width dz is 0, and the row of weights the last one in use.
      let gradient = units[k];
      let own = slot.down + own_weight_rows(4u * k, last) * X_CHUNKS;
      a += weight_rows(own, chunk.x) * gradient;
      b += weight_rows(own, chunk.y) * gradient;
      c += weight_rows(own, chunk.z) * gradient;
      d += weight_rows(own, chunk.w) * gradient;
    }
    write_chunk(rows, count, f, a);
    write_chunk(rows, count, f + 1u, b);
    write_chunk(rows, count, f + 2u, c);
    write_chunk(rows, count, f + 3u, d);
  }
}

// dz = u = 0 from chunk `first` on, in the rows before `count`.
fn clear_units(rows: vec4<u32>, count: u32, first: u32) {
  for (var r = 0u; r < count; r += 1u) {
    for (var k = first; k < U_CHUNKS; k += 1u) {
      put_units(rows[r] * U_CHUNKS + k, vec4<f32>(0.0), vec4<f32>(0.0));
    }
  }
}

// The way back of 4 rows of a tile, of which those before `count` are written.
fn go_back(tile: AdapterTile, rows: vec4<u32>, count: u32) {
  let slot = slot_of(tile);
  let trained = WANTS_UNITS && tile.trained == 1u;
  let works = slot.width > 0u && (WANTS_DX || trained);
  if (WANTS_UNITS) {
    clear_units(rows, count, select(0u, (slot.width + 3u) / 4u, trained));
  }
  if (works) {
    project_down(slot, rows);
    return_up(slot, rows, count, trained);
  }
  if (WANTS_DX) {
    if (works) {
      return_down(slot, rows, count);
    } else {
      for (var c = 0u; c < X_CHUNKS; c += 1u) {
        write_chunk(rows, count, c, mat4x4<f32>());
      }
    }
  }
}
