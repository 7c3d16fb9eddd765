// The gradient of attention, first launch: what the other launches look up.
// With p = softmax(SCALE * q kᵀ + bias, masked), y = p v and dp = dy vᵀ: ds = p ⊙ (dp - dy·y), dq = SCALE * ds k, dk =
// SCALE * dsᵀ q, dv = pᵀ dy, dbias = the sum of ds by distance and head. Scores are computed again from the rows, as in
// FlashAttention-2 (Dao 2023): no n x n matrix exists.
//
// One invocation handles one query row and head: statistics [Q * HEADS] get (-, -, dy·y, position); the launch of the
// queries puts the maximum of the row's scores and the inverse of its sum of exponentials in front. Invocations also
// copy what stands in four small tables to one, so that the other launches keep within 8 buffers: tables = [q_segments
// | kv_segments | positions | kv_positions].
//
// Shapes: y, dy [Q, HEADS * HEAD_WIDTH], segments as offsets [S + 1], positions [Q] and kv_positions [K]: original
// positions of selected rows; without them a row's place in its segment. A position is exact as an f32 up to 2^24.
//
// Limits: 8 storage buffers, WORKGROUP invocations per workgroup.
// lib: segments

// --- parameters
const HEADS: u32 = 2u;
const HEAD_WIDTH: u32 = 16u; // multiple of 4
const HAS_POSITIONS: bool = false;
const HAS_KV_POSITIONS: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  segments: u32,
  queries: u32,
  keys: u32,
}

@group(0) @binding(0) var<storage, read> q_segments: array<u32>;
@group(0) @binding(1) var<storage, read> kv_segments: array<u32>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> kv_positions: array<u32>;
@group(0) @binding(4) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> tables: array<u32>;
@group(0) @binding(7) var<storage, read_write> statistics: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  if (which == 0u) {
    return q_segments[s];
  }
  return kv_segments[s];
}

fn query_position(row: u32) -> u32 {
  if (HAS_POSITIONS) {
    return positions[row];
  }
  return row - q_segments[segment_of(0u, params.segments, row)];
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (wid.x + wid.y * groups.x) * WORKGROUP + lane;
  let offsets = params.segments + 1u;
  if (index < offsets) {
    tables[index] = q_segments[index];
    tables[offsets + index] = kv_segments[index];
  }
  if (HAS_POSITIONS && index < params.queries) {
    tables[2u * offsets + index] = positions[index];
  }
  if (HAS_KV_POSITIONS && index < params.keys) {
    tables[2u * offsets + params.queries + index] = kv_positions[index];
  }
  if (index >= params.queries * HEADS) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < HEAD_WIDTH / 4u; c += 1u) {
    sum += dot(dy[index * (HEAD_WIDTH / 4u) + c], y[index * (HEAD_WIDTH / 4u) + c]);
  }
  statistics[index] = vec4<f32>(0.0, 0.0, sum, f32(query_position(index / HEADS)));
}
