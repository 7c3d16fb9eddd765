// The sums of the rows of every segment, second launch: the sums of its blocks, first to last. One invocation per segment and
// item of a row. Segments without rows, and those that do not name the slot `trained` where HAS_SLOT, give 0.
//
// partials [tiles, WIDTH] of segment-sums.wgsl, whose blocks are numbered as in lib/segments.wgsl, segments [S + 1], like [S]
// -> y [S, WIDTH]
// Limits: 4 storage buffers, no workgroup memory. Own work.
// lib: item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u; // a multiple of ITEM
const BLOCK: u32 = 32u;
const HAS_SLOT: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  segments: u32,
  trained: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> segments: array<u32>;
@group(0) @binding(1) var<storage, read> like: array<u32>;
@group(0) @binding(2) var<storage, read_write> partials: array<item>;
@group(0) @binding(3) var<storage, read_write> y: array<item>;
@group(0) @binding(4) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * params.grid_width) * WORKGROUP + lane;
  let segment = index / ITEMS;
  if (segment >= params.segments) {
    return;
  }
  let start = segments[segment];
  var blocks = (segments[segment + 1u] - start + BLOCK - 1u) / BLOCK;
  if (HAS_SLOT) {
    if (like[segment] != params.trained) {
      blocks = 0u;
    }
  }
  let first = (start / BLOCK + segment) * ITEMS + index % ITEMS;
  var sum = item();
  for (var block = 0u; block < blocks; block += 1u) {
    sum += partials[first + block * ITEMS];
  }
  y[index] = sum;
}
