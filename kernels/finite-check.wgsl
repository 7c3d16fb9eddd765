// Second stage of a search for values that are not finite, by one workgroup: the least of the places that the blocks have found.
//
// firsts [blocks] -> y [1]
// Bindings: 2 storage buffers. Workgroup memory: 4 WORKGROUP bytes. Own work.
// lib: workgroup-first
// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  blocks: u32,
}

@group(0) @binding(0) var<storage, read_write> firsts: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
  var first = NOWHERE;
  for (var block = lane; block < params.blocks; block += WORKGROUP) {
    first = min(first, firsts[block]);
  }
  let found = workgroup_first(lane, first);
  if (lane == 0u) {
    y[0] = found;
  }
}
