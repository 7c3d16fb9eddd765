// Of every block of a long segment, how many scores lie above the segment's k-th largest and how many equal it: the places of
// its rows follow from the counts of the blocks before it (top-k.place.wgsl). One workgroup per block.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference), histograms
//   -> selections (after 4 passes), counts [blocks]
// Limits: 6 storage buffers, WORKGROUP <= 256 invocations, under 4 KiB of workgroup memory.
// lib: workgroup-scan radix-select segment-block radix-blocks
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
const BLOCK: u32 = 4096u; // rows
// --- end parameters

struct Params {
  segments: u32,
  blocks: u32, // floor(rows / BLOCK)
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> histograms: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> selections: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> counts: array<vec2<u32>>;
@group(0) @binding(6) var<uniform> params: Params;

fn score_bits(i: u32) -> u32 {
  return scores[i];
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
  let wanted = selected_segments[block.segment + 1u] - selected_segments[block.segment];
  let k = min(wanted, block.end - block.start);
  if (k == 0u) {
    return;
  }
  let kth = resume_select(lane, number, block, k, 4u).x;
  var own = vec2<u32>(0u);
  for (var i = block.first + lane; i < block.last; i += WORKGROUP) {
    let key = sortable(score_bits(i));
    own += select(vec2<u32>(0u), vec2<u32>(1u, 0u), key > kth);
    own += select(vec2<u32>(0u), vec2<u32>(0u, 1u), key == kth);
  }
  let before = workgroup_scan(lane, own);
  if (lane == WORKGROUP - 1u) {
    counts[number] = before + own;
  }
}
