// Attention probabilities, written out for capture: p = softmax(SCALE * q kᵀ + bias, masked) per head and segment. The
// attention kernels compute the same p without writing it; see kernels/attention.wgsl for the shapes of the inputs.
//
// y [T], T = sum over segments of HEADS * q_s * kv_s: per segment [HEADS, q_s, kv_s], row-major. Keys that a query may not see
// have probability 0.
//
// One invocation per query row and head: it writes its scores where the probabilities go and then normalises them.
//
// Limits: 8 storage buffers, no workgroup memory, WORKGROUP invocations per workgroup.
// lib: segments

// --- parameters
const HEADS: u32 = 2u;
const HEAD_WIDTH: u32 = 16u; // multiple of 4
const Q_STRIDE: u32 = 32u; // width of q; columns and strides are multiples of 4
const KV_STRIDE: u32 = 64u; // width of kv
const Q_AT: u32 = 0u;
const K_AT: u32 = 0u;
const CAUSAL: bool = false;
const HAS_POSITIONS: bool = false;
const HAS_KV_POSITIONS: bool = false;
const HAS_BIAS: bool = false;
const REACH: i32 = 1i; // D of bias [2 D + 1, HEADS]
const SCALE: f32 = 0.25;
const WORKGROUP: u32 = 16u;
// --- end parameters

const CHUNKS: u32 = HEAD_WIDTH / 4u;
const MASKED: f32 = -3.0e38;
const LOWEST: f32 = -1.0e38; // the first maximum: above MASKED, so that exp(MASKED - maximum) is 0

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> kv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> q_segments: array<u32>;
@group(0) @binding(3) var<storage, read> kv_segments: array<u32>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> kv_positions: array<u32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return q_segments[s];
}

// Where the probabilities of a segment start in y.
fn probabilities_before(segment: u32) -> u32 {
  var sum = 0u;
  for (var s = 0u; s < segment; s += 1u) {
    sum += HEADS * (q_segments[s + 1u] - q_segments[s]) * (kv_segments[s + 1u] - kv_segments[s]);
  }
  return sum;
}

fn key_score(query_at: u32, row: u32, head: u32, position: u32, key_position: u32) -> f32 {
  if (CAUSAL && key_position > position) {
    return MASKED;
  }
  let key_at = row * (KV_STRIDE / 4u) + K_AT / 4u + head * CHUNKS;
  var sum = 0.0;
  for (var c = 0u; c < CHUNKS; c += 1u) {
    sum += dot(q[query_at + c], kv[key_at + c]);
  }
  sum *= SCALE;
  if (HAS_BIAS) {
    let distance = clamp(i32(key_position) - i32(position), -REACH, REACH);
    sum += bias[u32(distance + REACH) * HEADS + head];
  }
  return max(sum, MASKED);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (wid.x + wid.y * groups.x) * WORKGROUP + lane;
  // Heads are counted off the grid, which may be made for fewer rows than the run's, or a few more than the segments hold.
  let queries = groups.x * groups.y * WORKGROUP / HEADS;
  let head = index / queries;
  let row = index % queries;
  if (head >= HEADS || row >= q_segments[params.segments]) {
    return;
  }
  let segment = segment_of(0u, params.segments, row);
  let query_start = q_segments[segment];
  let key_start = kv_segments[segment];
  let length = kv_segments[segment + 1u] - key_start;
  let rows = q_segments[segment + 1u] - query_start;
  let out = probabilities_before(segment) + (head * rows + row - query_start) * length;
  var position = row - query_start;
  if (HAS_POSITIONS) {
    position = positions[row];
  }
  let query_at = row * (Q_STRIDE / 4u) + Q_AT / 4u + head * CHUNKS;
  var top = LOWEST;
  for (var j = 0u; j < length; j += 1u) {
    var key_position = j;
    if (HAS_KV_POSITIONS) {
      key_position = kv_positions[key_start + j];
    }
    let score = key_score(query_at, key_start + j, head, position, key_position);
    y[out + j] = score;
    top = max(top, score);
  }
  var total = 0.0;
  for (var j = 0u; j < length; j += 1u) {
    let p = exp(y[out + j] - top);
    y[out + j] = p;
    total += p;
  }
  for (var j = 0u; j < length; j += 1u) {
    y[out + j] = y[out + j] / max(total, 1e-30);
  }
}
