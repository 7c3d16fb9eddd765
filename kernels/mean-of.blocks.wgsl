// First stage of a mean: sum and number of the values of each block of BLOCK neighbours that take part. A value takes no part where
// its label is 0xffffffff, or where its target is not a number. What lies past the end adds 0, so that a block's bits do not depend
// on how long a run is.
//
// x, labels? or targets? [items] -> partials [blocks, 2]
// Bindings: 4 storage buffers. Workgroup memory: 8 WORKGROUP + 8 GROUP bytes.
// Algorithm: neighbouring invocations read neighbouring values; sums of runs, of runs of runs, of invocations. Own work.
// lib: workgroup-sum taking-part score-bits
// --- parameters
const MASK: u32 = 0u; // 0 none, 1 labels, 2 targets
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
const BLOCK: u32 = 4096u; // a multiple of WORKGROUP * RUN
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec2<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

const RUN: u32 = 8u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let block = group.x + group.y * params.grid_width;
  let start = block * BLOCK;
  if (start >= params.items) {
    return;
  }
  let end = min(start + BLOCK, params.items);
  var own = vec2<f32>();
  for (var run = start + lane; run < end; run += RUN * WORKGROUP) {
    var part = vec2<f32>();
    for (var i = run; i < min(run + RUN * WORKGROUP, end); i += WORKGROUP) {
      if (takes_part(i)) {
        part += vec2<f32>(x[i], 1.0);
      }
    }
    own += part;
  }
  let total = workgroup_sum(lane, own);
  if (lane == 0u) {
    partials[block] = total;
  }
}
