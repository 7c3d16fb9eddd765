// The k largest scores of every segment, in ascending order of their rows; among equal scores the lower row wins, and
// -0.0 equals +0.0. One workgroup per segment: radix select of the k-th largest, then the rows are written.
//
// A segment with a score that is not a number is named by its lowest such row in `invalid`; what is selected of it then means
// nothing, but lies inside the segment.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference)
//   -> rows [K] (packed rows), positions [K] (rows within their segment), invalid [S + 1] (0xffffffff for none; the last always)
// One workgroup more than segments is dispatched, for the last entry of `invalid`.
// Limits: 6 storage buffers, one workgroup of WORKGROUP <= 256 invocations, under 4 KiB of workgroup memory; any n.
// lib: workgroup-scan radix-select score-bits selected-rows
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
const BLOCK: u32 = 0u; // segments of at least so many rows are left to the launches by blocks; 0 for none
// --- end parameters

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> invalid: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

const NONE: u32 = 0xffffffffu;

// Complement of the lowest row found to be no number: starts at 0, which stands for none.
var<workgroup> worst: atomic<u32>;

fn score_bits(i: u32) -> u32 {
  return scores[i];
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = group.x + group.y * groups.x;
  if (segment > params.segments) {
    return;
  }
  let start = segments[segment];
  let count = segments[min(segment + 1u, params.segments)] - start;
  if (segment == params.segments || (BLOCK > 0u && count >= BLOCK)) {
    if (lane == 0u) {
      invalid[segment] = NONE;
    }
    return;
  }

  for (var i = start + lane; i < start + count; i += WORKGROUP) {
    if (is_nan(scores[i])) {
      atomicMax(&worst, ~i);
      break;
    }
  }
  workgroupBarrier();
  if (lane == 0u) {
    invalid[segment] = ~atomicLoad(&worst);
  }

  let first_out = selected_segments[segment];
  let k = min(selected_segments[segment + 1u] - first_out, count);
  if (k == 0u) {
    return;
  }
  let selection = radix_select(lane, start, count, k);
  write_selected(lane, Selected(start, selection.key, k - selection.above, first_out), start, count, vec2<u32>(0u));
}
