// The sums of the rows of every segment, first launch: those of blocks of BLOCK rows that do not straddle segments, of x[r] or
// x[r] * factor[r]. One invocation per block and item of a row. A second launch, segment-sums.join.wgsl, adds them up.
//
// x, factor? [R, WIDTH], segments [S + 1], like [S], the slot of every segment where HAS_SLOT -> partials [tiles, WIDTH]
// Blocks of segments that do not name the slot `trained` are left as they are.
// Limits: 5 storage buffers, no workgroup memory. Own work.
// lib: segments item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u; // a multiple of ITEM
const BLOCK: u32 = 32u;
const HAS_FACTOR: bool = false;
const HAS_SLOT: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  segments: u32,
  tiles: u32,
  trained: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> factor: array<item>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> like: array<u32>;
@group(0) @binding(4) var<storage, read_write> partials: array<item>;
@group(0) @binding(5) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * params.grid_width) * WORKGROUP + lane;
  let number = index / ITEMS;
  if (number >= params.tiles) {
    return;
  }
  let tile = find_tile(0u, params.segments, BLOCK, number);
  if (tile.first >= tile.end) {
    return;
  }
  if (HAS_SLOT) {
    if (like[tile.segment] != params.trained) {
      return;
    }
  }
  var sum = item();
  for (var row = tile.first; row < min(tile.first + BLOCK, tile.end); row += 1u) {
    let at = row * ITEMS + index % ITEMS;
    if (HAS_FACTOR) {
      sum += x[at] * factor[at];
    } else {
      sum += x[at];
    }
  }
  partials[index] = sum;
}
