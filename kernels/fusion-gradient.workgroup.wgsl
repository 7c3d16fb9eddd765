// The way back through the middle of a folded AdapterFusion, one row per workgroup: as kernels/fusion-gradient.wgsl, which gives maths
// and shapes.
//
// Neighbouring invocations take neighbouring chunks of 4 units, whatever their adapter, and leave two sums of a chunk in workgroup
// memory; after a barrier one invocation per adapter adds up its chunks in their order, after another everybody goes back through the
// chunks it computed itself. Own work.
// Bindings: 7 storage buffers. Workgroup memory: N (2 B + 8) bytes.
// lib: fusion-row activation activation-gradient

// --- parameters
const ADAPTERS: u32 = 2u;
const WIDTH: u32 = 8u; // a multiple of 4
const HAS_FACTOR: bool = false;
const HAS_DHIDDEN: bool = true;
const WORKGROUP: u32 = 64u;
// --- end parameters

@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dscore: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dhidden: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> partials: array<vec2<f32>, ADAPTERS * CHUNKS>;
var<workgroup> logits: array<f32, ADAPTERS>;
var<workgroup> dp: array<f32, ADAPTERS>;

fn width_in(row: u32, a: u32) -> u32 {
  let record = adapter_record(a);
  return select(active_width(record), 0u, is_pruned(row, a, record));
}

fn share_of(row: u32, a: u32, largest: f32, total: f32) -> f32 {
  return select(exp(logits[a] - largest) / total, 0.0, is_pruned(row, a, adapter_record(a)));
}

fn slope_of_score(row: u32, a: u32, share: f32, mean: f32) -> f32 {
  return share * (dp[a] - mean) * score_factor(row, a) / temperature();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x + group.y * params.grid_width;
  if (row >= params.rows) {
    return;
  }
  let hidden_at = row * params.hidden_stride;
  let score_at = row * params.score_stride + params.score_at;
  let own_at = row * Y_CHUNKS;

  for (var at = lane; at < ADAPTERS * CHUNKS; at += WORKGROUP) {
    let a = at / CHUNKS;
    let used = used_units(at % CHUNKS, width_in(row, a));
    let u = units(hidden[hidden_at + at], adapter_record(a).y, used);
    let scores = select(vec4<f32>(0.0), score[score_at + at], used) * u;
    let shares = dy[own_at + at] * u;
    partials[at] = vec2<f32>(
      (scores.x + scores.y) + (scores.z + scores.w),
      (shares.x + shares.y) + (shares.z + shares.w),
    );
    dscore[own_at + at] = u;
  }
  workgroupBarrier();
  for (var a = lane; a < ADAPTERS; a += WORKGROUP) {
    let record = adapter_record(a);
    let gone = is_pruned(row, a, record);
    var sums = vec2<f32>(0.0);
    for (var c = 0u; 4u * c < width_in(row, a); c += 1u) {
      sums += partials[a * CHUNKS + c];
    }
    logits[a] = select((sums.x + score_offset(row, a)) * score_factor(row, a) / temperature(), LOWEST, gone);
    let at = ADAPTERS * WIDTH + a;
    let shown = !gone && (record.z & FORCED) == 0u;
    dp[a] = select(0.0, sums.y + dy[own_at + at / 4u][at % 4u], shown);
  }
  workgroupBarrier();

  var largest = LOWEST;
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    largest = max(largest, logits[a]);
  }
  var total = 0.0;
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    total += select(exp(logits[a] - largest), 0.0, is_pruned(row, a, adapter_record(a)));
  }
  // With every adapter pruned there is nothing to divide.
  total = select(total, 1.0, total == 0.0);
  var mean = 0.0;
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    mean += share_of(row, a, largest, total) * dp[a];
  }

  for (var at = lane; at < ADAPTERS * CHUNKS; at += WORKGROUP) {
    let a = at / CHUNKS;
    let record = adapter_record(a);
    let used = used_units(at % CHUNKS, width_in(row, a));
    let q = share_of(row, a, largest, total);
    let slope = slope_of_score(row, a, q, mean);
    let u = dscore[own_at + at];
    dscore[own_at + at] = select(vec4<f32>(0.0), slope * u, used);
    if (HAS_DHIDDEN) {
      let share = select(0.0, q, (record.z & FORCED) == 0u);
      let du = share * dy[own_at + at] + slope * score[score_at + at];
      let dz = activation_slope4(record.y, hidden[hidden_at + at]) * du;
      dhidden[row * ADAPTERS * CHUNKS + at] = select(vec4<f32>(0.0), dz, used);
    }
  }
  for (var c = ADAPTERS * CHUNKS + lane; c < Y_CHUNKS; c += WORKGROUP) {
    var tail = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
      let a = 4u * (c - ADAPTERS * CHUNKS) + i;
      if (a < ADAPTERS) {
        tail[i] = slope_of_score(row, a, share_of(row, a, largest, total), mean);
      }
    }
    dscore[own_at + c] = tail;
  }
}
