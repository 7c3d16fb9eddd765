// Rows whose score is above a threshold, at most as many of a segment as it has room for (then the largest; among equal scores
// the lower row): Mixture-of-Depths with a threshold, MATHS §1.3. This is the last of three launches: threshold-rows.count finds the
// cut of every segment, threshold-rows.scan its place, and here every segment's workgroup writes its rows in ascending order.
//
// scores [R] (bits), segments [S + 1], capacity_segments [S + 1], selected_segments [S + 1], cuts [2 S] (key, ties)
//   -> rows [C] (packed rows), positions [C] (rows within their segment), C = the sum of the capacities. The rows of all
//      segments lie packed from 0 on; what is left of C is NONE, and each segment fills as much of it as it left free.
// Limits: 7 storage buffers, one workgroup of WORKGROUP <= 256 invocations, under 4 KiB of workgroup memory; any n. Own work.
// lib: workgroup-scan radix-select score-bits selected-rows
// --- parameters
const GROUP: u32 = 8u;
const WORKGROUP: u32 = 64u; // GROUP * GROUP
// --- end parameters

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read> capacity_segments: array<u32>;
@group(0) @binding(3) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(4) var<storage, read> cuts: array<u32>;
@group(0) @binding(5) var<storage, read_write> rows: array<u32>;
@group(0) @binding(6) var<storage, read_write> positions: array<u32>;
@group(0) @binding(7) var<uniform> params: Params;

const NONE: u32 = 0xffffffffu;
const MINUS_INFINITY: u32 = 0xff800000u;

// As in threshold-rows.count: nothing selects a NaN.
fn score_bits(i: u32) -> u32 {
  return select(scores[i], MINUS_INFINITY, is_nan(scores[i]));
}

// The part of the selection that segment s leaves free follows the parts of the segments before it, behind all rows.
fn free_from(s: u32) -> u32 {
  let unused = capacity_segments[s] - capacity_segments[0] - selected_segments[s];
  return selected_segments[params.segments] + unused;
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
  for (var place = free_from(segment) + lane; place < free_from(segment + 1u); place += WORKGROUP) {
    rows[place] = NONE;
    positions[place] = NONE;
  }
  let first_out = selected_segments[segment];
  if (selected_segments[segment + 1u] == first_out) {
    return;
  }
  let start = segments[segment];
  let count = segments[segment + 1u] - start;
  let cut = cuts[2u * segment];
  let ties = cuts[2u * segment + 1u]; // how many of the rows that equal the cut are taken
  write_selected(lane, Selected(start, cut, ties, first_out), start, count, vec2<u32>(0u));
}
