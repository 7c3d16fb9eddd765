// The least of a workgroup's numbers, for lane 0 alone. The kernel defines WORKGROUP and calls once.

const NOWHERE: u32 = 0xffffffffu;

var<workgroup> first_items: array<u32, WORKGROUP>;

fn workgroup_first(lane: u32, value: u32) -> u32 {
  first_items[lane] = value;
  workgroupBarrier();
  var first = value;
  if (lane == 0u) {
    for (var i = 1u; i < WORKGROUP; i += 1u) {
      first = min(first, first_items[i]);
    }
  }
  return first;
}
