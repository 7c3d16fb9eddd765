// How many numbers of an ascending list lie below each bound: y[b] = |{ i : sorted[i] < bounds[b] }|. With the selected rows as
// the list and the offsets of pieces as bounds, y is where each piece begins among the selected rows.
//
// sorted [K] ascending, bounds [B] -> y [B]
// Bindings: 3 storage buffers. Workgroup memory: none.
// Algorithm: a binary search per bound. Own work.
// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32, // of sorted
  bounds: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> sorted: array<u32>;
@group(0) @binding(1) var<storage, read> bounds: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let b = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (b >= params.bounds) {
    return;
  }
  let bound = bounds[b];
  var low = 0u;
  var high = params.items;
  while (low < high) {
    let middle = low + (high - low) / 2u;
    if (sorted[middle] < bound) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  y[b] = low;
}
