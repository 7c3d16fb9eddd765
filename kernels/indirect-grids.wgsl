// The grids of launches whose number of rows only the device knows. The host has tabulated the grid of each launch at whole
// multiples of `step` rows up to the most there can be; this picks the first that holds the rows which were counted. The grids
// are then dispatched indirectly, so that less than `step` rows too many are computed.
//
// table [LAUNCHES, STEPS + 1, 3], found [1] -> grids [LAUNCHES, 3]
// Limits: 3 storage buffers, no workgroup memory. Own work.
// --- parameters
const STEPS: u32 = 64u; // of the table
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  launches: u32,
  step: u32, // rows between two grids of the table, at least 1
}

@group(0) @binding(0) var<storage, read> table: array<u32>;
@group(0) @binding(1) var<storage, read> found: array<u32>;
@group(0) @binding(2) var<storage, read_write> grids: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.launches) {
    return;
  }
  // Rounded up without a sum that could pass 2^32.
  let whole = found[0] / params.step;
  let entry = min(whole + select(0u, 1u, whole * params.step < found[0]), STEPS);
  for (var axis = 0u; axis < 3u; axis += 1u) {
    grids[id.x * 3u + axis] = table[(id.x * (STEPS + 1u) + entry) * 3u + axis];
  }
}
