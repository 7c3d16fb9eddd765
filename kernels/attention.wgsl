// Attention over packed segments, portable variant.
// y = softmax(SCALE * q kᵀ + bias, masked) v per head and segment, by online softmax (Milakov and Gimelshein 2018; Rabe and
// Staats 2021): no n x n matrix exists.
//
// Shapes: q [Q, Q_STRIDE], kv [K, KV_STRIDE], segments as offsets [S + 1]; a head's query, key and value stand from columns
// Q_AT, K_AT, V_AT + head * HEAD_WIDTH on (q and kv may be one packed matrix). positions [Q]: original positions of selected
// query rows, ascending in a segment. bias [HEADS, P, P] by original positions. prefix [2 PREFIX, HEADS * HEAD_WIDTH]: keys,
// then values, seen by every query of every segment. y [Q, HEADS * HEAD_WIDTH].
//
// One invocation computes 4 query rows of one head against blocks of 16 keys, in the order of the keys from the segment's start
// (kernels/lib/attention-tile.wgsl). Neighbouring invocations take neighbouring rows and so read the same keys.
//
// Limits: 8 storage buffers, no workgroup memory, WORKGROUP invocations per workgroup.
// lib: segments attention-tile

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
const KEYS_SELECTED: bool = false; // the keys are the selected rows too and have their positions
const HAS_BIAS: bool = false;
const BIAS_SIZE: u32 = 1u; // P of bias [HEADS, P, P]
const PREFIX: u32 = 0u; // prefix keys, and as many prefix values
const SCALE: f32 = 0.25;
const WORKGROUP: u32 = 8u;
// --- end parameters

struct Params {
  segments: u32,
  tiles: u32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> kv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> q_segments: array<u32>;
@group(0) @binding(3) var<storage, read> kv_segments: array<u32>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> prefix: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return q_segments[s];
}

fn load_chunk(from_prefix: bool, at: u32) -> vec4<f32> {
  if (from_prefix) {
    return prefix[at];
  }
  return kv[at];
}

fn own_keys(j: vec4<u32>) -> vec4<u32> {
  return j;
}

fn value_tile(from_prefix: bool, at: vec4<u32>, c: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    load_chunk(from_prefix, at.x + c),
    load_chunk(from_prefix, at.y + c),
    load_chunk(from_prefix, at.z + c),
    load_chunk(from_prefix, at.w + c),
  );
}

fn key_tile(from_prefix: bool, at: vec4<u32>, c: u32) -> mat4x4<f32> {
  return transpose(value_tile(from_prefix, at, c));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (wid.x + wid.y * groups.x) * WORKGROUP + lane;
  let head = index / params.tiles;
  if (head >= HEADS) {
    return;
  }
  let tile = find_tile(0u, params.segments, 4u, index % params.tiles);
  if (tile.first >= tile.end) {
    return;
  }
  let rows = min(tile.first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tile.end - 1u));
  let queries = query_tile(head, rows, q_segments[tile.segment]);
  let start = kv_segments[tile.segment];
  let count = kv_segments[tile.segment + 1u] - start;
  maximum = vec4<f32>(LOWEST);
  var seen = count;
  if (CAUSAL && !KEYS_SELECTED) {
    seen = min(seen, queries.position.w + 1u); // positions ascend: the last row sees furthest
  }
  var keys: Keys;
  // The prefix in blocks of its own, then the segment's keys: one call of the long function, so that it compiles once.
  for (var b = 0u; b < PREFIX_BLOCKS + (seen + 15u) / 16u; b += 1u) {
    if (b < PREFIX_BLOCKS) {
      keys = Keys(true, 0u, PREFIX);
    } else {
      keys = Keys(false, start, count);
    }
    take_block(keys, queries, 16u * select(b, b - PREFIX_BLOCKS, b >= PREFIX_BLOCKS));
  }
  write_rows(head, rows, true);
}
