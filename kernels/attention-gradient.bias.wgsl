// The gradient of attention, last launch: of the relative bias, the sum of the parts that the launch of the queries has
// left. dbias[k, head] = the sum over tiles t of dbias_parts[t, head, k], in the order of the tiles.
//
// Shapes: dbias_parts [tiles, HEADS, DISTANCES], dbias [DISTANCES, HEADS]; tables start with the offsets [S + 1] of the
// queries' segments. Tiles of TILE rows, each of LANES parts, are those that kernels/lib/segments.wgsl lays over the
// rows.
//
// One invocation adds up one element. Limits: 3 storage buffers, WORKGROUP invocations per workgroup.

// --- parameters
const HEADS: u32 = 2u;
const DISTANCES: u32 = 3u; // 2 D + 1
const TILE: u32 = 4u;
const LANES: u32 = 1u;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read> tables: array<u32>;
@group(0) @binding(1) var<storage, read> dbias_parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.x;
  if (index >= HEADS * DISTANCES) {
    return;
  }
  // The rows that there are may be fewer than the run was made for; without any no tile was launched.
  let rows = tables[params.segments];
  var parts = 0u;
  if (rows > 0u) {
    parts = (rows / TILE + params.segments) * LANES;
  }
  var sum = 0.0;
  for (var t = 0u; t < parts; t += 1u) {
    sum += dbias_parts[t * HEADS * DISTANCES + index];
  }
  dbias[(index % DISTANCES) * HEADS + index / DISTANCES] = sum;
}
