// One of the 4 passes of a radix select over the long segments, one workgroup per block (lib/radix-blocks.wgsl): picks the bin
// of the pass before and counts the next 8 bits of the keys that begin with the bits picked so far. Pass 0 also looks for
// scores that are not numbers.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference)
//   -> histograms, selections, invalid [S + 1] (lowered to the lowest row that is no number)
// Limits: 6 storage buffers, WORKGROUP <= 256 invocations, under 4 KiB of workgroup memory.
// lib: workgroup-scan radix-select score-bits segment-block radix-blocks
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
const BLOCK: u32 = 4096u; // rows
const SOFT: bool = false; // for weights: infinities count as the largest finite numbers, and `invalid` is not written
// --- end parameters

struct Params {
  segments: u32,
  blocks: u32, // floor(rows / BLOCK)
  step: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> histograms: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> selections: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> invalid: array<atomic<u32>>;
@group(0) @binding(6) var<uniform> params: Params;

fn score_bits(i: u32) -> u32 {
  return select(scores[i], finite_bits(scores[i]), SOFT);
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
  if (params.step == 0u && !SOFT) {
    for (var i = block.first + lane; i < block.last; i += WORKGROUP) {
      if (is_nan(scores[i])) {
        atomicMin(&invalid[block.segment], i);
        break;
      }
    }
  }
  let wanted = selected_segments[block.segment + 1u] - selected_segments[block.segment];
  let k = min(wanted, block.end - block.start);
  if (k == 0u) {
    return;
  }

  let prefix = resume_select(lane, number, block, k, params.step).x;
  for (var bin = lane; bin < RADIX_BINS; bin += WORKGROUP) {
    atomicStore(&radix_bins[bin], 0u);
  }
  workgroupBarrier();
  let shift = 24u - 8u * params.step;
  for (var i = block.first + lane; i < block.last; i += WORKGROUP) {
    let digits = sortable(score_bits(i)) >> shift;
    if ((digits >> 8u) == prefix) {
      atomicAdd(&radix_bins[digits & 255u], 1u);
    }
  }
  workgroupBarrier();
  let at = histogram_at(params.step, block);
  for (var bin = lane; bin < RADIX_BINS; bin += WORKGROUP) {
    let own = atomicLoad(&radix_bins[bin]);
    if (own > 0u) {
      atomicAdd(&histograms[at + bin], own);
    }
  }
}
