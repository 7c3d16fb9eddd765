// One row per segment: its first row, its last, or the mean of all. An empty segment gives zeros. One invocation per
// element of the result; a mean adds the rows in their order, so it depends on its own segment alone.
//
// x [R, D], segments [S + 1] -> y [S, D]
// lib: item-scalar|item-vec4
// --- parameters
const WIDTH: u32 = 8u;
const MODE: u32 = 0u; // 0 first, 1 mean, 2 last
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  segments: u32,
}

@group(0) @binding(0) var<storage, read> x: array<item>;
@group(0) @binding(1) var<storage, read> segments: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM; // of a row
const TILES: u32 = (ITEMS + WORKGROUP - 1u) / WORKGROUP; // workgroups per segment

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = group.x + group.y * groups.x;
  let segment = tile / TILES;
  let column = (tile % TILES) * WORKGROUP + lane;
  if (segment >= params.segments || column >= ITEMS) {
    return;
  }
  let start = segments[segment];
  let end = segments[segment + 1u];
  var value = item();
  if (start < end) {
    if (MODE == 1u) {
      for (var row = start; row < end; row += 1u) {
        value += x[row * ITEMS + column];
      }
      value = value / f32(end - start);
    } else {
      value = x[select(start, end - 1u, MODE == 2u) * ITEMS + column];
    }
  }
  y[segment * ITEMS + column] = value;
}
