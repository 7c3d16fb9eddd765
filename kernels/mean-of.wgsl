// Second stage of a mean, by one workgroup: y = Σ partial sums · scale, scale = 1 / Σ partial numbers, or 1 / divisor where one is
// given; 0 where that is none at all.
//
// partials [blocks, 2], divisor? [1] -> y [1], scale [1]
// Bindings: 4 storage buffers. Workgroup memory: 8 WORKGROUP + 8 GROUP bytes. Own work.
// lib: workgroup-sum
// --- parameters
const HAS_DIVISOR: bool = false;
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  blocks: u32,
}

@group(0) @binding(0) var<storage, read> divisor: array<u32>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

const RUN: u32 = 8u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
  var own = vec2<f32>();
  for (var run = lane; run < params.blocks; run += RUN * WORKGROUP) {
    var part = vec2<f32>();
    for (var i = run; i < min(run + RUN * WORKGROUP, params.blocks); i += WORKGROUP) {
      part += partials[i];
    }
    own += part;
  }
  let total = workgroup_sum(lane, own);
  if (lane != 0u) {
    return;
  }
  var count = total.y;
  if (HAS_DIVISOR) {
    count = f32(divisor[0]);
  }
  y[0] = select(0.0, total.x / count, count > 0.0);
  scale[0] = select(0.0, 1.0 / count, count > 0.0);
}
