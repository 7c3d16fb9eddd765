// Second launch of threshold-rows: the rows of each segment become offsets, in place, and their sum is counted. One workgroup;
// every lane sums a stretch of neighbouring segments, a prefix sum gives its place, and it writes its offsets.
//
// selected_segments [1 + s] = rows of segment s -> selected_segments [S + 1] offsets, counted [1] = K, invalid [S] = NONE
// Limits: 3 storage buffers, one workgroup of WORKGROUP <= 256 invocations; any number of segments. Own work.
// lib: workgroup-scan
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read_write> selected_segments: array<u32>;
@group(0) @binding(1) var<storage, read_write> counted: array<u32>;
@group(0) @binding(2) var<storage, read_write> invalid: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const NONE: u32 = 0xffffffffu;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
  let stretch = (params.segments + WORKGROUP - 1u) / WORKGROUP;
  let first = min(lane * stretch, params.segments);
  let last = min(first + stretch, params.segments);
  var sum = 0u;
  for (var s = first; s < last; s += 1u) {
    sum += selected_segments[s + 1u];
  }
  var offset = workgroup_scan(lane, vec2<u32>(sum, 0u)).x;
  for (var s = first; s < last; s += 1u) {
    offset += selected_segments[s + 1u];
    selected_segments[s + 1u] = offset;
  }
  if (lane == 0u) {
    selected_segments[0] = 0u;
    invalid[params.segments] = NONE;
  }
  if (lane == WORKGROUP - 1u) {
    counted[0] = offset;
  }
}
