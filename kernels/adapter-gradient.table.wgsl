// The tiles of the launch that follows, and which rows take part in the gradient of a slot's weights: mask[r] = the slot's scale in
// segments that name it, 0 in all others and where its active width is 0. One invocation per tile of TILE_ROWS rows.
//
// slots [slots]: active width, activation code, scale (bits of an f32), reserved; segments [S + 1]; segment_slots [S], 0xffffffff
// for none -> table [tiles] (kernels/lib/adapter-tile-table.wgsl), mask [R] where HAS_MASK
// Limits: 5 storage buffers, no workgroup memory. Own work.
// lib: segments adapter-tile-table
// --- parameters
const TILE_ROWS: u32 = 4u;
const MAX_WIDTH: u32 = 8u;
const HAS_MASK: bool = true;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  segments: u32,
  tiles: u32,
  trained: u32, // the slot
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> slots: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> segment_slots: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<AdapterTile>;
@group(0) @binding(4) var<storage, read_write> mask: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

const NO_SLOT: u32 = 0xffffffffu;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * params.grid_width) * WORKGROUP + lane;
  if (index >= params.tiles) {
    return;
  }
  let tile = find_tile(0u, params.segments, TILE_ROWS, index);
  let slot = segment_slots[tile.segment];
  var entry = AdapterTile(tile.first, tile.end, 0u, 0u, 0u, 0.0, 0u, 0u);
  if (slot != NO_SLOT) {
    let record = slots[slot];
    entry.slot = slot;
    entry.width = min(record.x, MAX_WIDTH);
    entry.activation = record.y;
    entry.scale = bitcast<f32>(record.z);
    entry.trained = select(0u, 1u, HAS_MASK && slot == params.trained);
  }
  table[index] = entry;
  if (HAS_MASK) {
    let value = select(0.0, entry.scale, entry.trained == 1u && entry.width > 0u);
    for (var row = tile.first; row < min(tile.first + TILE_ROWS, tile.end); row += 1u) {
      mask[row] = value;
    }
  }
}
