// First launch of threshold-rows: how many rows each segment selects, and by which cut. One workgroup per segment counts the
// scores above the threshold; only where they are more than the segment's capacity does a radix select find the last one that
// still fits. A row is selected when its key is greater than the cut's, or equal to it and among the first `ties` of those.
//
// scores [R] (bits), segments [S + 1], capacity_segments [S + 1] (the most rows of a segment are a difference)
//   -> selected_segments [1 + s] = rows of segment s (offsets only after threshold-rows.scan), cuts [2 S] = key and ties,
//      invalid [s] = lowest row of segment s whose score is NaN, else NONE
// Limits: 6 storage buffers, one workgroup of WORKGROUP <= 256 invocations, under 4 KiB of workgroup memory; any n. Own work.
// lib: workgroup-scan radix-select score-bits
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
  threshold: u32, // bits of an f32, so that a denormal one is not flushed
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> capacity_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> selected_segments: array<u32>;
@group(0) @binding(4) var<storage, read_write> invalid: array<u32>;
@group(0) @binding(5) var<storage, read_write> cuts: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

const NONE: u32 = 0xffffffffu;
const MINUS_INFINITY: u32 = 0xff800000u;

var<workgroup> total: u32;
var<workgroup> first_invalid: atomic<u32>;

// No score is below what NaN counts as, so nothing selects it.
fn score_bits(i: u32) -> u32 {
  return select(scores[i], MINUS_INFINITY, is_nan(scores[i]));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = group.x + group.y * groups.x;
  if (segment >= params.segments) {
    return;
  }
  let start = segments[segment];
  let count = segments[segment + 1u] - start;
  let capacity = capacity_segments[segment + 1u] - capacity_segments[segment];
  let cut = sortable(params.threshold);
  if (lane == 0u) {
    atomicStore(&first_invalid, NONE);
  }
  workgroupBarrier();
  var above = 0u;
  for (var i = start + lane; i < start + count; i += WORKGROUP) {
    above += select(0u, 1u, sortable(score_bits(i)) > cut);
    if (is_nan(scores[i])) {
      atomicMin(&first_invalid, i);
    }
  }
  let before = workgroup_scan(lane, vec2<u32>(above, 0u)).x;
  if (lane == WORKGROUP - 1u) {
    total = before + above;
  }
  let all = workgroupUniformLoad(&total);
  var selection = Selection(cut, capacity); // of equal scores none is taken: see the ties below
  if (all > capacity) {
    selection = Selection(NONE, 0u);
    if (capacity > 0u) {
      selection = radix_select(lane, start, count, capacity);
    }
  }
  if (lane == 0u) {
    selected_segments[segment + 1u] = min(all, capacity);
    cuts[2u * segment] = selection.key;
    cuts[2u * segment + 1u] = capacity - selection.above;
    invalid[segment] = atomicLoad(&first_invalid);
  }
}
