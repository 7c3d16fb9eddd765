// One step of the exact soft top-k over the long segments, one workgroup per block: the descent of lib/soft-top-k-exact.wgsl
// with the sums of a step spread over the blocks of a segment. Every block adds the sums of the step before by itself, in the
// same order, moves the threshold, and sums its own rows under it; the last launch writes the weights instead. The first
// launch begins with the last pick of the radix select (top-k.histogram.wgsl).
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference), histograms, selections
//   -> partial [2 * blocks] sums of each block, descents [2 * blocks] (d, done, pivot) of each segment, both for even and odd
//   steps; in the last launch weights [R]
// Limits: 8 storage buffers, WORKGROUP <= 256 invocations, under 6 KiB of workgroup memory; n below 2^24.
// lib: workgroup-sum workgroup-scan radix-select score-bits exp-log segment-block radix-blocks soft-top-k-exact
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
const BLOCK: u32 = 4096u; // rows
// --- end parameters

struct Params {
  segments: u32,
  blocks: u32, // floor(rows / BLOCK)
  step: u32,
  last: u32, // 1 in the last launch
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> histograms: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> selections: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read_write> descents: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> shared_state: vec4<f32>;

fn score_bits(i: u32) -> u32 {
  return finite_bits(scores[i]);
}

// d, done and pivot of the step before, for every lane.
fn state_before(lane: u32, block: Block) -> vec4<f32> {
  if (lane == 0u && params.step > 0u) {
    shared_state = descents[((params.step + 1u) & 1u) * params.blocks + block.home];
  }
  return workgroupUniformLoad(&shared_state);
}

// d, done and pivot of this step.
fn descend(lane: u32, number: u32, block: Block, k: u32, before: vec4<f32>) -> vec4<f32> {
  if (params.step == 0u) {
    let pivot = unsortable(resume_select(lane, number, block, k, 4u).x);
    return vec4<f32>(ln(f32(block.end - block.start)), 0.0, pivot, 0.0);
  }
  let old = ((params.step + 1u) & 1u) * params.blocks + block.home;
  var own = vec2<f32>(0.0);
  for (var i = lane; i < block.count; i += WORKGROUP) {
    own += partial[old + i];
  }
  let next = exact_step(before.x, workgroup_sum(lane, own), k);
  return vec4<f32>(next.d, select(0.0, 1.0, next.done), before.z, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group.x + group.y * groups.x;
  if (number >= params.blocks) {
    return;
  }
  let block = find_block(params.segments, number);
  if (block.count == 0u) {
    return;
  }
  let k = selected_segments[block.segment + 1u] - selected_segments[block.segment];
  if (k == 0u || k >= block.end - block.start) {
    for (var i = block.first + lane; i < block.last && params.last == 1u; i += WORKGROUP) {
      weights[i] = select(1.0, 0.0, k == 0u);
    }
    return;
  }

  // Where the root was found, only the state is handed on, until the last launch.
  var state = state_before(lane, block);
  let found = state.y == 1.0;
  if (!found) {
    state = descend(lane, number, block, k, state);
  }
  let current = (params.step & 1u) * params.blocks;
  if (lane == 0u && number == block.home) {
    descents[current + number] = state;
  }
  let scale = 1.0 / params.epsilon;
  if (params.last == 1u) {
    for (var i = block.first + lane; i < block.last; i += WORKGROUP) {
      weights[i] = exact_weight(i, state.z, scale, state.x);
    }
    return;
  }
  if (found) {
    return;
  }
  let sums = workgroup_sum(lane, exact_sums(lane, block.first, block.last, state.z, scale, state.x));
  if (lane == 0u) {
    partial[current + number] = sums;
  }
}
