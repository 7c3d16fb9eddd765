// Gradient of squared differences: dpredictions = 2 dy (predictions - targets), 0 where a target is not a number.
//
// Shapes: predictions, targets, dy and dpredictions of `items` values
// Bindings: 4 storage buffers. Workgroup memory: none. Own work.
// lib: score-bits
// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dpredictions: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i >= params.items) {
    return;
  }
  var gradient = 0.0;
  if (!is_nan(targets[i])) {
    gradient = 2.0 * dy[i] * (predictions[i] - bitcast<f32>(targets[i]));
  }
  dpredictions[i] = gradient;
}
