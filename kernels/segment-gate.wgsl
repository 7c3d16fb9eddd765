// Gates of a segment: y[s, g] = mean over the rows r of segment s of sigmoid(x[r] . w[g] + c[g]) (MATHS §2.2), weights from
// the slot of a bank that the segment names. A segment without a slot or without rows gives 0.
// One workgroup per segment and gate, one invocation per row: each adds up the rows lane, lane + WORKGROUP, ... of the segment,
// and the sums are added in a fixed order, so that a result depends on its own segment alone.
//
// x [R, WIDTH], bank [slots, STRIDE], a slot being w [SLOT_GATES, WIDTH], c [SLOT_GATES], padding, of which GATES from FIRST_GATE on are taken; segments [S + 1], segment_slots [S],
// 0xffffffff for none -> y [S, GATES]
// Limits: 5 storage buffers, 8 * WORKGROUP + 8 * GROUP bytes of workgroup memory, WORKGROUP invocations. Own work.
// lib: workgroup-sum activation item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u; // a multiple of ITEM, as STRIDE
const STRIDE: u32 = 12u; // elements of a slot
const GATES: u32 = 1u;
const FIRST_GATE: u32 = 0u;
const SLOT_GATES: u32 = 1u;
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> bank: array<item>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> segment_slots: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

const NO_SLOT: u32 = 0xffffffffu;
const SIGMOID: u32 = 7u; // of lib/activation.wgsl
const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  let segment = index / GATES;
  let gate = FIRST_GATE + index % GATES;
  if (segment >= params.segments) {
    return;
  }
  let start = segments[segment];
  let end = segments[segment + 1u];
  let slot = segment_slots[segment];
  if (slot == NO_SLOT || start >= end) {
    if (lane == 0u) {
      y[index] = 0.0;
    }
    return;
  }
  let weights = slot * (STRIDE / ITEM) + gate * ITEMS;
  let bias_at = slot * STRIDE + SLOT_GATES * WIDTH + gate;
  let bias = item_to_vec4(bank[bias_at / ITEM])[bias_at % ITEM];
  var sum = 0.0;
  for (var row = start + lane; row < end; row += WORKGROUP) {
    var products = item();
    for (var c = 0u; c < ITEMS; c += 1u) {
      products += x[row * ITEMS + c] * bank[weights + c];
    }
    sum += activate(SIGMOID, item_sum(products) + bias);
  }
  let total = workgroup_sum(lane, vec2<f32>(sum, 0.0)).x;
  if (lane == 0u) {
    y[index] = total / f32(end - start);
  }
}
