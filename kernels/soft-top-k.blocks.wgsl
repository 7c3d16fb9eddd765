// One iteration of the published soft top-k over the long segments, one workgroup per block: the recurrence of
// lib/soft-top-k-paper.wgsl with Σ_t spread over the blocks of a segment. Launch 0 finds the largest score of every block.
// Launch t = 1 .. T finishes iteration t - 1 (every block adds the sums of the launch before by itself, in the same order,
// and moves θ) and sums its own rows for iteration t. Launch T + 1 finishes iteration T and writes the weights.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference)
//   -> partial [2 * blocks] of each block, thresholds [2 * blocks] (m_t high, m_t low, max s) of each segment, both for even and
//   odd launches; in the last launch weights [R]
// Limits: 6 storage buffers, WORKGROUP <= 256 invocations, under 5 KiB of workgroup memory; any n.
// lib: workgroup-sum workgroup-max score-bits exp-log segment-block soft-top-k-paper
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
  minus_scores: u32, // 1 in the launch that finishes iteration 1 from the start b = -s: z was 0
  epsilon_before: f32, // ε of the iteration that this launch finishes
  epsilon: f32, // ε of its own iteration, in the last launch of the weights
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> thresholds: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

fn score_bits(i: u32) -> u32 {
  return finite_bits(scores[i]);
}

// θ of the launch before, from the sums of its blocks, and the largest score of the segment.
fn finish(lane: u32, block: Block, k: u32) -> vec3<f32> {
  let old = ((params.step + 1u) & 1u) * params.blocks + block.home;
  if (params.step == 1u) {
    var own = partial[old].x;
    for (var i = lane; i < block.count; i += WORKGROUP) {
      own = max(own, partial[old + i].x);
    }
    let largest = workgroup_max(lane, own);
    return vec3<f32>(largest, 0.0, largest);
  }
  var own = 0.0;
  for (var i = lane; i < block.count; i += WORKGROUP) {
    own += partial[old + i].x;
  }
  let sum = workgroup_sum(lane, vec2<f32>(own, 0.0)).x;
  let state = thresholds[old];
  if (params.minus_scores == 1u) {
    let first = moved(Pair(0.0, 0.0), params.epsilon_before, f32(block.end - block.start), k);
    return vec3<f32>(first.high, first.low, state.z);
  }
  let threshold = moved(Pair(state.x, state.y), params.epsilon_before, sum, k);
  return vec3<f32>(threshold.high, threshold.low, state.z);
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

  let current = (params.step & 1u) * params.blocks;
  if (params.step == 0u) {
    let largest = workgroup_max(lane, lane_largest(lane, block.first, block.last));
    if (lane == 0u) {
      partial[current + number] = vec2<f32>(largest, 0.0);
    }
    return;
  }
  let finished = finish(lane, block, k);
  let threshold = Pair(finished.x, finished.y);
  let scale = 1.0 / params.epsilon;
  if (params.last == 1u) {
    for (var i = block.first + lane; i < block.last; i += WORKGROUP) {
      weights[i] = paper_weight(i, threshold, scale);
    }
    return;
  }
  let base = capped(finished.z, threshold);
  let sums = workgroup_sum(lane, paper_sums(lane, block.first, block.last, base, scale));
  if (lane == 0u) {
    partial[current + number] = sums;
    if (number == block.home) {
      thresholds[current + number] = vec4<f32>(base.high, base.low, finished.z, 0.0);
    }
  }
}
