// First stage of a search for values that are not finite: the first such place in each block of BLOCK neighbours, 0xffffffff where
// there is none. Values are read as bits, for an implementation may take it that every f32 is finite.
//
// x [items] -> firsts [blocks]
// Bindings: 2 storage buffers. Workgroup memory: 4 WORKGROUP bytes. Own work.
// lib: workgroup-first score-bits
// --- parameters
const WORKGROUP: u32 = 64u;
const BLOCK: u32 = 4096u;
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> firsts: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let block = group.x + group.y * params.grid_width;
  let start = block * BLOCK;
  if (start >= params.items) {
    return;
  }
  var first = NOWHERE;
  for (var i = start + lane; i < min(start + BLOCK, params.items); i += WORKGROUP) {
    first = min(first, select(NOWHERE, i, (x[i] & ~SCORE_SIGN) >= SCORE_INFINITY));
  }
  let found = workgroup_first(lane, first);
  if (lane == 0u) {
    firsts[block] = found;
  }
}
