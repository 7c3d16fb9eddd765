// The gradient of attention, second launch: of the queries and of the relative bias, portable variant. With p =
// softmax(SCALE * q kᵀ + bias, masked), y = p v and dp = dy vᵀ: ds = p ⊙ (dp - dy·y), dq = SCALE * ds k, dk = SCALE *
// dsᵀ q, dv = pᵀ dy, dbias = the sum of ds by distance and head. Scores are computed again from the rows, as in
// FlashAttention-2 (Dao 2023): no n x n matrix exists.
//
// Shapes: as in kernels/attention.wgsl; dy [Q, HEADS * HEAD_WIDTH], dq [Q, Q_STRIDE]. tables and statistics: as
// kernels/attention-gradient.wgsl leaves them. dbias_parts [tiles of 4 queries, HEADS, 2 REACH + 1]:
// kernels/attention-gradient.bias.wgsl adds them up.
//
// One invocation takes 4 query rows of one head against blocks of 16 keys, first for the statistics of the softmax,
// then for the gradient (kernels/lib/attention-gradient-queries.wgsl).
//
// Limits: 8 storage buffers, no workgroup memory, WORKGROUP invocations per workgroup.
// lib: segments attention-mask attention-gradient-rows attention-gradient-queries

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
const WORKGROUP: u32 = 8u;
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

fn own_keys(j: vec4<u32>) -> vec4<u32> {
  return j;
}

fn key_columns(at: vec4<u32>, c: u32) -> mat4x4<f32> {
  return mat4x4<f32>(kv[at.x + c], kv[at.y + c], kv[at.z + c], kv[at.w + c]);
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
  let number = index % tiles;
  let tile = find_tile(0u, params.segments, 4u, number);
  let first = tile.first;
  let end = min(tile.first + 4u, tile.end);
  let part = number * HEADS + head;
  if (WANTS_BIAS && number < tile_count(0u, 4u)) {
    clear_bias_part(part);
  }
  if (tile.first >= tile.end) {
    return;
  }
  let queries = query_tile(head, tile, first);
  let start = segment_offset(1u, tile.segment);
  let keys = Keys(start, segment_offset(1u, tile.segment + 1u) - start);
  // Positions ascend: the tile's last row sees furthest.
  let seen = keys_up_to(keys, query_position(end - 1u, segment_offset(0u, tile.segment)));
  query_tile_gradient(keys, queries, seen, part);
}
