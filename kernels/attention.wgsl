// Attention over packed segments, portable variant.
// y = softmax(SCALE * q kᵀ + bias, masked) v per head and segment, by online softmax (Milakov and Gimelshein 2018; Rabe and
// Staats 2021): no n x n matrix exists.
//
// Shapes: q [Q, Q_STRIDE], kv [K, KV_STRIDE], segments as offsets [S + 1]; a head's query, key and value stand from columns
// Q_AT, K_AT, V_AT + head * HEAD_WIDTH on (q and kv may be one packed matrix). positions [Q] and kv_positions [K]: original
// positions of selected queries and keys, ascending in a segment; without them a row's place in its segment. The causal order and
// bias [2 REACH + 1, HEADS] go by them: the score of a pair gets row clamp(key - query, -REACH, REACH) + REACH of the bias.
// y [Q, HEADS * HEAD_WIDTH].
//
// One invocation computes 4 query rows of one head against blocks of 16 keys, in the order of the keys from the segment's start
// (kernels/lib/attention-tile.wgsl). Neighbouring invocations take neighbouring rows and so read the same keys.
//
// Limits: 8 storage buffers, no workgroup memory, WORKGROUP invocations per workgroup.
// lib: segments attention-mask attention-tile

// --- parameters
const HEADS: u32 = 2u;
const HEAD_WIDTH: u32 = 16u; // multiple of 4, at most 256
const Q_STRIDE: u32 = 32u; // width of q; columns and strides are multiples of 4
const KV_STRIDE: u32 = 64u; // width of kv
const Q_AT: u32 = 0u;
const K_AT: u32 = 0u;
const V_AT: u32 = 32u;
const CAUSAL: bool = false;
const HAS_POSITIONS: bool = false;
const HAS_KV_POSITIONS: bool = false;
const HAS_BIAS: bool = false;
const REACH: i32 = 1i; // D of bias [2 D + 1, HEADS]
const SCALE: f32 = 0.25;
const WORKGROUP: u32 = 8u;
// --- end parameters

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
@group(0) @binding(7) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return q_segments[s];
}

fn key_position(row: u32) -> u32 {
  return kv_positions[row];
}

fn own_keys(j: vec4<u32>) -> vec4<u32> {
  return j;
}

fn value_tile(at: vec4<u32>, c: u32) -> mat4x4<f32> {
  return mat4x4<f32>(kv[at.x + c], kv[at.y + c], kv[at.z + c], kv[at.w + c]);
}

fn key_tile(at: vec4<u32>, c: u32) -> mat4x4<f32> {
  return transpose(value_tile(at, c));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (wid.x + wid.y * groups.x) * WORKGROUP + lane;
  // Heads are counted off the grid, which may be made for fewer rows than the run's: tiles past the last segment are empty.
  let tiles = groups.x * groups.y * WORKGROUP / HEADS;
  let head = index / tiles;
  if (head >= HEADS) {
    return;
  }
  let tile = find_tile(0u, params.segments, 4u, index % tiles);
  if (tile.first >= tile.end) {
    return;
  }
  let rows = min(tile.first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tile.end - 1u));
  let queries = query_tile(head, rows, q_segments[tile.segment]);
  let start = kv_segments[tile.segment];
  let keys = Keys(start, kv_segments[tile.segment + 1u] - start);
  maximum = vec4<f32>(LOWEST);
  let seen = keys_up_to(keys, queries.position.w); // positions ascend: the last row sees furthest
  for (var j = 0u; j < seen; j += 16u) {
    take_block(keys, queries, j);
  }
  write_rows(head, rows, true);
}
