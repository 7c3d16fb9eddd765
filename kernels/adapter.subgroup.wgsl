// Bottleneck adapter, variant that shares loaded weights among the 4 invocations of a quad.
// y = residual + scale * (act(x Wdᵀ + cd) Wuᵀ + cu)[first_column, +COLUMNS] in one launch (MATHS §2.2), weights, width,
// activation and scale from the slot of a bank that each segment names.
//
// Shapes: x [R, WIDTH]; residual?, y [R, COLUMNS]; bank [slots, STRIDE] (f32, or f16 as u32 words), a slot being
// down [MAX_WIDTH, WIDTH], up [OUT_WIDTH, MAX_WIDTH], down_bias [MAX_WIDTH], up_bias [OUT_WIDTH]; slots [slots]: active width b,
// activation code, scale (bits of an f32), reserved; segments [S + 1] offsets; segment_slots [S], 0xffffffff for none. Units
// from b on are never used, whatever the slot holds there. b = 0 and no slot: y = residual (0 where there is none).
//
// A workgroup computes 4 * WORKGROUP rows of one segment, 4 per invocation, the bottleneck in private memory
// (kernels/lib/adapter-tile.wgsl). All its invocations need the same weights, so each loads one row of four and hands it on with
// quadBroadcast. A quad is 4 invocations at every subgroup size, so this is right at 4 to 64.
//
// Limits: feature subgroups, 7 storage buffers, no workgroup memory, WORKGROUP (a multiple of 4) invocations per workgroup.
// lib: segments activation adapter-tile weight-f32|weight-f16

enable subgroups;

// --- parameters
const WIDTH: u32 = 16u; // of x; multiple of 4
const MAX_WIDTH: u32 = 8u; // multiple of 4
const OUT_WIDTH: u32 = 16u; // rows of up; multiple of 4
const COLUMNS: u32 = 16u; // of y; multiple of 4
const STRIDE: u32 = 280u; // elements of a slot, a multiple of 4
const HAS_RESIDUAL: bool = true;
const WORKGROUP: u32 = 4u; // multiple of 4
// --- end parameters

struct Params {
  segments: u32,
  tiles: u32,
  first_column: u32, // the row of up that gives column 0; multiple of 4
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bank: array<weight_vec4>;
@group(0) @binding(3) var<storage, read> slots: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> segments: array<u32>;
@group(0) @binding(5) var<storage, read> segment_slots: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

var<private> quad_lane: u32;

fn own_weight_rows(j: u32, last: u32) -> vec4<u32> {
  return vec4<u32>(min(j + quad_lane, last));
}

fn weight_tile(at: vec4<u32>, c: u32) -> mat4x4<f32> {
  let own = load_weight(bank[at.x + c]);
  return transpose(
    mat4x4<f32>(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u)),
  );
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let index = wid.x + wid.y * groups.x;
  if (index >= params.tiles) {
    return;
  }
  let tile = find_tile(0u, params.segments, 4u * WORKGROUP, index);
  if (tile.first >= tile.end) {
    return;
  }
  // Invocations past the segment's end compute its last row again, so that the whole quad loads, and write nothing.
  let first = min(tile.first + 4u * lane, tile.end);
  let rows = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tile.end - 1u));
  let count = min(4u, tile.end - first);
  let slot = find_slot(segment_slots[tile.segment]);
  if (slot.width == 0u) {
    copy_residual(rows, count);
    return;
  }
  quad_lane = subgroup_lane % 4u;
  project_down(slot, rows);
  project_up(slot, rows, count);
}
