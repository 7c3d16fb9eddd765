// The middle of a folded AdapterFusion (MATHS §2.4, DESIGN §5.2), one row per invocation: from the bottlenecks of N adapters
// and the folded score coefficients to the coefficients of the folded values. Maths in kernels/lib/fusion-row.wgsl.
//
// Shapes: hidden [rows, >= N B] with part a at column a B; score [rows, >= score_at + N B + N], from column score_at on
// N parts of B coefficients and N offsets; table [slots, 4 (N + 1)]: the temperature's bits and three words of nothing, then
// active width, activation code, flags (1 forced to 0, 2 pruned) and nothing of every adapter; y [rows, N B + N, padded to
// a multiple of 8]; weights [rows, N]; factor [rows, N] with HAS_FACTOR. hidden and score may be one tensor.
//
// Units wait in y for their weight; nothing is shared, so nothing has to be combined. SwiftShader runs every case of a switch
// under a lane mask and jumps only over loops: a loop of no or one turn for each common activation, given as a constant, is
// twice as fast as one switch. Own work.
// Bindings: 6 storage buffers. Workgroup memory: none. Private memory: 4 N bytes.
// lib: fusion-row activation

// --- parameters
const ADAPTERS: u32 = 2u;
const WIDTH: u32 = 8u; // a multiple of 4
const HAS_FACTOR: bool = false;
const WORKGROUP: u32 = 16u;
// --- end parameters

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> weights: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

// Activation codes of the library's presets: Pfeiffer and parallel, Compacter, Houlsby.
const RELU: u32 = 1u;
const GELU: u32 = 2u;
const SILU: u32 = 4u;


// Writes the units of adapter a to y. @returns their products with its score coefficients.
fn adapter_sum(row: u32, a: u32, width: u32, code: u32) -> vec4<f32> {
  let hidden_at = row * params.hidden_stride + a * CHUNKS;
  let score_at = row * params.score_stride + params.score_at + a * CHUNKS;
  let y_at = row * Y_CHUNKS + a * CHUNKS;
  var sum = vec4<f32>(0.0);
  for (var c = 0u; 4u * c < width; c += 1u) {
    let used = used_units(c, width);
    let u = units(hidden[hidden_at + c], code, used);
    sum += select(vec4<f32>(0.0), score[score_at + c], used) * u;
    y[y_at + c] = u;
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (row >= params.rows) {
    return;
  }
  let y_at = row * Y_CHUNKS;

  var p: array<f32, ADAPTERS>;
  var largest = LOWEST;
  let heat = temperature();
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    let record = adapter_record(a);
    let width = active_width(record);
    let code = record.y;
    var sum = vec4<f32>(0.0);
    for (var turn = select(0u, 1u, code == RELU); turn > 0u; turn -= 1u) {
      sum = adapter_sum(row, a, width, RELU);
    }
    for (var turn = select(0u, 1u, code == GELU); turn > 0u; turn -= 1u) {
      sum = adapter_sum(row, a, width, GELU);
    }
    for (var turn = select(0u, 1u, code == SILU); turn > 0u; turn -= 1u) {
      sum = adapter_sum(row, a, width, SILU);
    }
    for (var turn = select(1u, 0u, code == RELU || code == GELU || code == SILU); turn > 0u; turn -= 1u) {
      sum = adapter_sum(row, a, width, code);
    }
    let logit = ((sum.x + sum.y) + (sum.z + sum.w) + score_offset(row, a)) * score_factor(row, a) / heat;
    p[a] = select(logit, LOWEST, is_pruned(row, a, record));
    largest = max(largest, p[a]);
  }

  var total = 0.0;
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    p[a] = select(exp(p[a] - largest), 0.0, is_pruned(row, a, adapter_record(a)));
    total += p[a];
  }
  // With every adapter pruned there is nothing to divide.
  total = select(total, 1.0, total == 0.0);

  for (var a = 0u; a < ADAPTERS; a += 1u) {
    let record = adapter_record(a);
    let shown = (record.z & FORCED) == 0u && !is_pruned(row, a, record);
    let share = select(0.0, p[a] / total, shown);
    p[a] = share;
    weights[row * ADAPTERS + a] = share;
    let width = select(0u, active_width(record), shown);
    for (var c = 0u; c < CHUNKS; c += 1u) {
      let at = y_at + a * CHUNKS + c;
      var u = vec4<f32>(0.0);
      for (var turn = select(0u, 1u, 4u * c < width); turn > 0u; turn -= 1u) {
        u = share * y[at];
      }
      y[at] = u;
    }
  }
  for (var c = ADAPTERS * CHUNKS; c < Y_CHUNKS; c += 1u) {
    var tail = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
      let a = 4u * (c - ADAPTERS * CHUNKS) + i;
      if (a < ADAPTERS) {
        tail[i] = p[a];
      }
    }
    y[y_at + c] = tail;
  }
}
