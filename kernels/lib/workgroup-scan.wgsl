// Exclusive prefix sums of u32 pairs over a workgroup, in two levels of GROUP lanes each.
//
// The kernel defines GROUP and WORKGROUP = GROUP * GROUP. Callers put a barrier between two calls: `scan_items` is
// still being read when a call returns.

var<workgroup> scan_items: array<vec2<u32>, WORKGROUP>;
var<workgroup> scan_groups: array<vec2<u32>, GROUP>;

fn workgroup_scan(lane: u32, value: vec2<u32>) -> vec2<u32> {
  scan_items[lane] = value;
  workgroupBarrier();
  if (lane < GROUP) {
    var group = vec2<u32>(0u);
    for (var i = 0u; i < GROUP; i += 1u) {
      group += scan_items[lane * GROUP + i];
    }
    scan_groups[lane] = group;
  }
  workgroupBarrier();
  let own = lane / GROUP;
  var before = vec2<u32>(0u);
  for (var i = 0u; i < own; i += 1u) {
    before += scan_groups[i];
  }
  for (var i = own * GROUP; i < lane; i += 1u) {
    before += scan_items[i];
  }
  return before;
}
