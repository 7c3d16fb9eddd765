// Gradient of binary cross-entropy by its logits: dlogits = dy ((1 - t) σ(z) - w t σ(-z)), each sigmoid by an exponential that cannot
// overflow, so that neither is a difference from 1. A target that is not a number is missing and gives 0.
//
// Shapes: logits, targets and dy [items / WIDTH, WIDTH], weights? [WIDTH] -> dlogits
// Bindings: 5 storage buffers. Workgroup memory: none. Own work.
// lib: score-bits
// --- parameters
const WIDTH: u32 = 8u;
const HAS_WEIGHTS: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i >= params.items) {
    return;
  }
  var gradient = 0.0;
  if (!is_nan(targets[i])) {
    var weight = 1.0;
    if (HAS_WEIGHTS) {
      weight = weights[i % WIDTH];
    }
    let target_value = bitcast<f32>(targets[i]);
    let z = logits[i];
    let e = exp(-abs(z));
    let likely = 1.0 / (1.0 + e); // σ(|z|)
    let unlikely = e / (1.0 + e); // σ(-|z|)
    let positive = select(unlikely, likely, z >= 0.0);
    let negative = select(likely, unlikely, z >= 0.0);
    gradient = dy[i] * ((1.0 - target_value) * positive - weight * target_value * negative);
    // What is not a number stays so: an exponential may hide it.
    gradient = select(gradient, z, is_nan(bitcast<u32>(z)));
  }
  dlogits[i] = gradient;
}
