// The k-th largest of a segment's scores by many workgroups: the radix select of radix-select.wgsl with a launch for each of
// its 4 passes. A segment's histograms lie at the number of its first block, one per pass; blocks add to them by integer
// atomics, so the result is the same in every run. Every block picks the bin of the pass before by itself, which costs it 256
// reads and saves a launch.
//
// Needs segment-block.wgsl, radix-select.wgsl, and `params.blocks`, the stride of a pass. The kernel binds
//   histograms [4 * blocks * 256] atomic u32, zero at the start;
//   selections [5 * blocks] vec4<u32>: key bits so far, rank among the keys that begin with them, number of these keys.

fn histogram_at(passes: u32, block: Block) -> u32 {
  return (passes * params.blocks + block.home) * RADIX_BINS;
}

// The selection after `passes` passes; after 4 of them the key of the k-th largest, and how many of its equals are taken.
// The segment's first block keeps it. All lanes must call it together with 1 <= k <= length.
fn resume_select(lane: u32, number: u32, block: Block, k: u32, passes: u32) -> vec3<u32> {
  let whole = vec3<u32>(0u, k, block.end - block.start);
  if (passes == 0u) {
    return whole;
  }
  var state = whole;
  if (passes > 1u) {
    state = selections[(passes - 1u) * params.blocks + block.home].xyz;
  }
  let at = histogram_at(passes - 1u, block);
  for (var bin = lane; bin < RADIX_BINS; bin += WORKGROUP) {
    atomicStore(&radix_bins[bin], atomicLoad(&histograms[at + bin]));
  }
  workgroupBarrier();
  let found = radix_pick(lane, state.y, state.z);
  state = vec3<u32>((state.x << 8u) | found.x, state.y - found.y, found.z);
  if (lane == 0u && number == block.home) {
    selections[passes * params.blocks + block.home] = vec4<u32>(state, 0u);
  }
  return state;
}
