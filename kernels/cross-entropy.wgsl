// Cross-entropy of logits with labels and label smoothing ε. With z = logits[r], y = labels[r], m = max z, s = Σ exp(z_c - m):
//   losses[r] = -(1 - ε) ln p_y - ε / C Σ ln p_c = ln s - (1 - ε) (z_y - m) - ε / C Σ (z_c - m),   p = softmax(z)
// A label that is no class takes no part: its loss is 0. normalizer[r] = (m, s), for the gradient: p_c = exp(z_c - m) / s.
// A row with a logit that is not a number has a loss and an s that are none: Σ (z_c - m) tells, for an exponential may hide it.
//
// Shapes: logits [rows, WIDTH], labels [rows] -> losses [rows], normalizer [rows, 2]
// Bindings: 4 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: maximum; sums, of runs first, since the roundings of long sums of like terms add up. Own work.
// lib: item-vec4|item-scalar row-lane|row-workgroup exp-log score-bits

// --- parameters
const WIDTH: u32 = 768u; // C, a multiple of ITEM
const SMOOTH: bool = true; // ε > 0: without, a logit of -inf that is not the label's adds nothing
const LANES: u32 = 1u; // invocations that share a row: 1 with row-lane
const ROWS: u32 = 16u; // rows of a workgroup: 1 with row-workgroup
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<item>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> normalizer: array<vec2<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;
const RUN: u32 = 32u * LANES;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let place = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  // Invocations past the last row stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, place < params.rows);
  let start = min(place, params.rows - 1u) * ITEMS;

  var largest = logits[start];
  for (var c = lane; c < end; c += LANES) {
    largest = max(largest, logits[start + c]);
  }
  let most = row_max(item_max(largest), lane);
  var exponentials = item();
  var shifted = item();
  for (var run = lane; run < end; run += RUN) {
    var run_exponentials = item();
    var run_shifted = item();
    for (var c = run; c < min(run + RUN, end); c += LANES) {
      let shift = logits[start + c] - most;
      run_exponentials += exp(shift);
      run_shifted += shift;
    }
    exponentials += run_exponentials;
    shifted += run_shifted;
  }
  let sum = row_sum(item_sum(exponentials), lane);
  let distance = row_sum(item_sum(shifted), lane);
  if (lane != 0u || place >= params.rows) {
    return;
  }
  let known = !is_nan(bitcast<u32>(distance));
  normalizer[place] = vec2<f32>(most, select(distance, sum, known));
  let label = labels[place];
  var loss = 0.0;
  if (label < WIDTH) {
    let own = item_to_vec4(logits[start + label / ITEM])[label % ITEM];
    loss = ln(sum) - (1.0 - params.smoothing) * (own - most);
    if (SMOOTH) {
      loss -= params.smoothing / f32(WIDTH) * distance;
    }
    loss = select(distance, loss, known);
  }
  losses[place] = loss;
}
