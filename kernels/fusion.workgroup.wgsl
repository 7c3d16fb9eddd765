// The middle of a folded AdapterFusion, one row per workgroup: as kernels/fusion.wgsl, which gives the shapes; maths in
// kernels/lib/fusion-row.wgsl.
//
// Neighbouring invocations take neighbouring chunks of 4 units, whatever their adapter, and leave the products of a chunk in
// workgroup memory; after a barrier one invocation per adapter sums its chunks in their order, after another everybody
// weighs the units it computed itself. Own work.
// Bindings: 6 storage buffers. Workgroup memory: N (B + 4) bytes.
// lib: fusion-row activation

// --- parameters
const ADAPTERS: u32 = 2u;
const WIDTH: u32 = 8u; // a multiple of 4
const HAS_FACTOR: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> weights: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> partials: array<f32, ADAPTERS * CHUNKS>;
var<workgroup> logits: array<f32, ADAPTERS>;

fn is_silent(row: u32, a: u32) -> bool {
  let record = adapter_record(a);
  return (record.z & FORCED) != 0u || is_pruned(row, a, record);
}

fn weight_of(row: u32, a: u32, largest: f32, total: f32) -> f32 {
  return select(exp(logits[a] - largest) / total, 0.0, is_silent(row, a));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x + group.y * params.grid_width;
  if (row >= params.rows) {
    return;
  }
  let hidden_at = row * params.hidden_stride;
  let score_at = row * params.score_stride + params.score_at;
  let y_at = row * Y_CHUNKS;

  for (var at = lane; at < ADAPTERS * CHUNKS; at += WORKGROUP) {
    let record = adapter_record(at / CHUNKS);
    let used = used_units(at % CHUNKS, active_width(record));
    let u = units(hidden[hidden_at + at], record.y, used);
    let products = select(vec4<f32>(0.0), score[score_at + at], used) * u;
    partials[at] = (products.x + products.y) + (products.z + products.w);
    y[y_at + at] = u;
  }
  workgroupBarrier();
  for (var a = lane; a < ADAPTERS; a += WORKGROUP) {
    let record = adapter_record(a);
    var sum = 0.0;
    for (var c = 0u; 4u * c < active_width(record); c += 1u) {
      sum += partials[a * CHUNKS + c];
    }
    let logit = (sum + score_offset(row, a)) * score_factor(row, a) / temperature();
    logits[a] = select(logit, LOWEST, is_pruned(row, a, record));
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

  for (var at = lane; at < ADAPTERS * CHUNKS; at += WORKGROUP) {
    let share = weight_of(row, at / CHUNKS, largest, total);
    y[y_at + at] = select(share * y[y_at + at], vec4<f32>(0.0), is_silent(row, at / CHUNKS));
  }
  for (var c = ADAPTERS * CHUNKS + lane; c < Y_CHUNKS; c += WORKGROUP) {
    var tail = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
      let a = 4u * (c - ADAPTERS * CHUNKS) + i;
      if (a < ADAPTERS) {
        tail[i] = weight_of(row, a, largest, total);
      }
    }
    y[y_at + c] = tail;
  }
  for (var a = lane; a < ADAPTERS; a += WORKGROUP) {
    weights[row * ADAPTERS + a] = weight_of(row, a, largest, total);
  }
}
