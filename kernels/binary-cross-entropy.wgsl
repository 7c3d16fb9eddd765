// Binary cross-entropy of logits with targets from 0 to 1, positive terms weighed by class: with z = logits, t = targets,
//   losses = -w t ln σ(z) - (1 - t) ln (1 - σ(z)) = w t softplus(-z) + (1 - t) softplus(z)
//   softplus(z) = max(z, 0) + ln(1 + exp(-|z|))
// A target that is not a number is missing: its loss is 0. Targets are read as bits, for an implementation may take it that no f32
// is not a number.
//
// Shapes: logits and targets [items / WIDTH, WIDTH], weights? [WIDTH] -> losses
// Bindings: 4 storage buffers. Workgroup memory: none. Own work.
// lib: log-one-plus score-bits
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
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i >= params.items) {
    return;
  }
  var loss = 0.0;
  if (!is_nan(targets[i])) {
    var weight = 1.0;
    if (HAS_WEIGHTS) {
      weight = weights[i % WIDTH];
    }
    let target_value = bitcast<f32>(targets[i]);
    let z = logits[i];
    let rest = log_one_plus(exp(-abs(z)));
    loss = z; // What is not a number stays so: an exponential or a maximum may hide it.
    if (!is_nan(bitcast<u32>(z))) {
      loss = (1.0 - target_value) * (max(z, 0.0) + rest) + weight * target_value * (max(-z, 0.0) + rest);
    }
  }
  losses[i] = loss;
}
