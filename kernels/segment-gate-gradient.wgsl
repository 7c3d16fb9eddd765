// The gradient of the gates of segments (segment-gate.wgsl): with z[r, g] = x[r] . w[g] + c[g],
// dz[r, g] = dy[s, g] sigmoid'(z[r, g]) / n of its segment of n rows, and dx[r] = sum over g of dz[r, g] w[g]; weights from the slot of
// a bank that the segment names. Rows of a segment without a slot: dx = 0. dz is written as 0 where a segment does not name the
// slot `trained`.
//
// Shapes: x, dx [rows, WIDTH]; bank [slots, STRIDE], a slot being w [SLOT_GATES, WIDTH], c [SLOT_GATES], padding, of which GATES from
// FIRST_GATE on are taken; dy [S, GATES]; segments [S + 1]; segment_slots [S], 0xffffffff for none; dz [rows, GATES].
// Bindings: 7 storage buffers. Workgroup memory: none, or 4 LANES bytes with row-workgroup.
// Algorithm: ITEM partial sums an invocation and gate, then columns by columns. Own work.
// lib: segments activation activation-gradient item-scalar|item-vec4 row-lane|row-workgroup

// --- parameters
const WIDTH: u32 = 8u; // a multiple of ITEM, as STRIDE
const STRIDE: u32 = 12u; // elements of a slot
const GATES: u32 = 1u;
const FIRST_GATE: u32 = 0u;
const SLOT_GATES: u32 = 1u;
const HAS_DX: bool = true;
const HAS_DZ: bool = true;
const LANES: u32 = 1u; // invocations that share a row: 1 with row-lane
const ROWS: u32 = 16u; // rows of a workgroup: 1 with row-workgroup
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
  segments: u32,
  trained: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> bank: array<item>;
@group(0) @binding(3) var<storage, read> segments: array<u32>;
@group(0) @binding(4) var<storage, read> segment_slots: array<u32>;
@group(0) @binding(5) var<storage, read_write> dx: array<item>;
@group(0) @binding(6) var<storage, read_write> dz: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

const NO_SLOT: u32 = 0xffffffffu;
const SIGMOID: u32 = 7u; // of lib/activation.wgsl
const ITEMS: u32 = WIDTH / ITEM; // of a row

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

// dz of one gate, from its logit without the bias.
fn logit_gradient(segment: u32, slot: u32, gate: u32, product: f32) -> f32 {
  let bias_at = slot * STRIDE + SLOT_GATES * WIDTH + FIRST_GATE + gate;
  let bias = item_to_vec4(bank[bias_at / ITEM])[bias_at % ITEM];
  let length = f32(segments[segment + 1u] - segments[segment]);
  return dy[segment * GATES + gate] * activation_slope(SIGMOID, product + bias) / length;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let row = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  let inside = row < params.rows;
  var segment = 0u;
  var slot = NO_SLOT;
  if (inside) {
    segment = segment_of(0u, params.segments, row);
    slot = segment_slots[segment];
  }
  let trained = HAS_DZ && slot == params.trained;
  let works = slot != NO_SLOT && (HAS_DX || trained);
  // Invocations without work stay for the barriers, with nothing to sum.
  let end = select(0u, ITEMS, works);
  let start = row * ITEMS;
  let weights = select(0u, slot * (STRIDE / ITEM) + FIRST_GATE * ITEMS, works);

  var gradients: array<f32, GATES>;
  for (var gate = 0u; gate < GATES; gate += 1u) {
    var products = item();
    for (var c = lane; c < end; c += LANES) {
      products += x[start + c] * bank[weights + gate * ITEMS + c];
    }
    let product = row_sum(item_sum(products), lane);
    var gradient = 0.0;
    if (works) {
      gradient = logit_gradient(segment, slot, gate, product);
    }
    gradients[gate] = gradient;
    if (HAS_DZ && inside && lane == 0u) {
      dz[row * GATES + gate] = select(0.0, gradient, trained);
    }
  }
  if (HAS_DX && inside) {
    for (var c = lane; c < ITEMS; c += LANES) {
      var sum = item();
      for (var gate = 0u; works && gate < GATES; gate += 1u) {
        sum += gradients[gate] * bank[weights + gate * ITEMS + c];
      }
      dx[start + c] = sum;
    }
  }
}
