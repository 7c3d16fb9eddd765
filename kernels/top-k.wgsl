// The k largest scores of every segment, in ascending order of their rows; among equal scores the lower row wins, and
// -0.0 equals +0.0. One workgroup per segment: radix select of the k-th largest, then every lane counts a stretch of
// neighbouring rows, a prefix sum gives its place, and it writes its rows.
//
// scores [R] (bits), segments [S + 1], selected_segments [S + 1] (k_s is a difference)
//   -> rows [K] (packed rows), positions [K] (rows within their segment)
// Limits: one workgroup of WORKGROUP <= 256 invocations, under 4 KiB of workgroup memory; any n.
// lib: workgroup-scan radix-select
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> positions: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

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
  if (segment >= params.segments) {
    return;
  }
  let start = segments[segment];
  let count = segments[segment + 1u] - start;
  let first_out = selected_segments[segment];
  let k = min(selected_segments[segment + 1u] - first_out, count);
  if (k == 0u) {
    return;
  }

  let selection = radix_select(lane, start, count, k);
  let ties = k - selection.above; // how many of the rows that equal the k-th are taken
  let stretch = (count + WORKGROUP - 1u) / WORKGROUP;
  let first = min(lane * stretch, count);
  let last = min(first + stretch, count);
  var found = vec2<u32>(0u); // rows above the k-th score, rows equal to it
  for (var i = first; i < last; i += 1u) {
    let key = sortable(score_bits(start + i));
    found += select(vec2<u32>(0u), vec2<u32>(1u, 0u), key > selection.key);
    found += select(vec2<u32>(0u), vec2<u32>(0u, 1u), key == selection.key);
  }
  // The last scan of radix_select is behind a barrier.
  var before = workgroup_scan(lane, found);
  for (var i = first; i < last; i += 1u) {
    let key = sortable(score_bits(start + i));
    if (key < selection.key) {
      continue;
    }
    let place = first_out + before.x + min(before.y, ties);
    if (key > selection.key) {
      before.x += 1u;
    } else {
      before.y += 1u;
      if (before.y > ties) {
        continue;
      }
    }
    rows[place] = start + i;
    positions[place] = i;
  }
}
