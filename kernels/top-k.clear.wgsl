// Sets the histograms of a selection by blocks to zero: one workgroup for the 4 * 256 counters of every block number.
//
// -> histograms [4 * blocks * 256]
// Limits: 1 storage buffer, WORKGROUP invocations.
// --- parameters
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  blocks: u32,
}

@group(0) @binding(0) var<storage, read_write> histograms: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

const PER_BLOCK: u32 = 1024u;

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
  for (var i = lane; i < PER_BLOCK; i += WORKGROUP) {
    histograms[number * PER_BLOCK + i] = 0u;
  }
}
