// The gradient of attention, second launch: of the queries and of the relative bias, variant that shares loaded keys
// and values among the 4 invocations of a quad.
// With p = softmax(SCALE * q kᵀ + bias, masked), y = p v and dp = dy vᵀ: ds = p ⊙ (dp - dy·y), dq = SCALE * ds k, dk =
// SCALE * dsᵀ q, dv = pᵀ dy, dbias = the sum of ds by distance and head. Scores are computed again from the rows, as in
// FlashAttention-2 (Dao 2023): no n x n matrix exists.
//
// Shapes: as in kernels/attention.wgsl; dy [Q, HEADS * HEAD_WIDTH], dq [Q, Q_STRIDE]. tables and statistics: as
// kernels/attention-gradient.wgsl leaves them. dbias_parts [tiles of 4 queries, HEADS, 2 REACH + 1]:
// kernels/attention-gradient.bias.wgsl adds them up.
//
// A workgroup takes 4 * WORKGROUP query rows of one head and one segment, 4 rows per invocation, against blocks of 16
// keys, first for the statistics of the softmax, then for the gradient (kernels/lib/attention-gradient-queries.wgsl).
// All its invocations need the same keys, so each loads one of four and hands it on with quadBroadcast: right at
// subgroup sizes 4 to 64.
//
// Limits: feature subgroups, 8 storage buffers, no workgroup memory, WORKGROUP (a multiple of 4) invocations per
// workgroup.
// lib: segments attention-mask attention-gradient-rows attention-gradient-queries

enable subgroups;

// --- parameters
const HEADS: u32 = 2u;
const HEAD_WIDTH: u32 = 16u; // multiple of 4, at most 256
const Q_STRIDE: u32 = 64u; // width of q; columns and strides are multiples of 4
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
const PACKED: bool = false; // q and kv are one matrix
const WANTS_QUERIES: bool = true;
const WANTS_BIAS: bool = false;
const WORKGROUP: u32 = 4u; // multiple of 4
// --- end parameters

struct Params {
  segments: u32,
  queries: u32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> kv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> tables: array<u32>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> dbias_parts: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

var<private> quad_lane: u32;

fn own_keys(j: vec4<u32>) -> vec4<u32> {
  return vec4<u32>(j.x + quad_lane);
}

fn key_columns(at: vec4<u32>, c: u32) -> mat4x4<f32> {
  let own = kv[at.x + c];
  return mat4x4<f32>(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let index = wid.x + wid.y * groups.x;
  // Heads are counted off the grid, which may be made for fewer rows than the run's: tiles past the last segment are empty.
  let tiles = groups.x * groups.y / HEADS;
  let head = index / tiles;
  if (head >= HEADS) {
    return;
  }
  let number = index % tiles;
  let tile = find_tile(0u, params.segments, 4u * WORKGROUP, number);
  let first = tile.first + 4u * lane;
  let end = min(tile.first + 4u * WORKGROUP, tile.end);
  let part = (number * WORKGROUP + lane) * HEADS + head;
  quad_lane = subgroup_lane % 4u;
  if (WANTS_BIAS && number < tile_count(0u, 4u * WORKGROUP)) {
    clear_bias_part(part);
  }
  if (tile.first >= tile.end) {
    return;
  }
  // Invocations past the segment's end compute its last row again, so that the whole quad loads, and write nothing.
  let queries = query_tile(head, tile, first);
  let start = segment_offset(1u, tile.segment);
  let keys = Keys(start, segment_offset(1u, tile.segment + 1u) - start);
  // Positions ascend: the tile's last row sees furthest.
  let seen = keys_up_to(keys, query_position(end - 1u, segment_offset(0u, tile.segment)));
  query_tile_gradient(keys, queries, seen, part);
}
