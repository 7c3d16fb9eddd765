// The largest of a workgroup's values, the same for every lane. The kernel defines WORKGROUP. Callers put a barrier between two
// calls: `max_items` is still being read when a call returns.

var<workgroup> max_items: array<f32, WORKGROUP>;

fn workgroup_max(lane: u32, value: f32) -> f32 {
  max_items[lane] = value;
  workgroupBarrier();
  var largest = value;
  for (var i = 0u; i < WORKGROUP; i += 1u) {
    largest = max(largest, max_items[i]);
  }
  return largest;
}
