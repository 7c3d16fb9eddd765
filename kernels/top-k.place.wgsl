// Writes the selected rows of the long segments: adds up the counts of the blocks before its own in their segment
// (top-k.count.wgsl), then places its rows after them. One workgroup per block.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference), selections, counts [blocks]
//   -> rows [K] (packed rows), positions [K] (rows within their segment)
// Limits: 7 storage buffers, WORKGROUP <= 256 invocations, under 4 KiB of workgroup memory.
// lib: workgroup-scan radix-select segment-block selected-rows
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
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> selections: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> counts: array<vec2<u32>>;
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> rows_above: atomic<u32>;
var<workgroup> rows_equal: atomic<u32>;

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
  let first_out = selected_segments[block.segment];
  if (block.count == 0u || selected_segments[block.segment + 1u] == first_out) {
    return;
  }
  var before = vec2<u32>(0u);
  for (var i = block.home + lane; i < number; i += WORKGROUP) {
    before += counts[i];
  }
  atomicAdd(&rows_above, before.x);
  atomicAdd(&rows_equal, before.y);
  workgroupBarrier();
  let passed = vec2<u32>(atomicLoad(&rows_above), atomicLoad(&rows_equal));
  let selection = selections[4u * params.blocks + block.home];
  let selected = Selected(block.start, selection.x, selection.y, first_out);
  write_selected(lane, selected, block.first, block.last - block.first, passed);
}
