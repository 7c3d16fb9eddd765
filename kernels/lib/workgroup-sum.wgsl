// Sums over a workgroup in a fixed order: GROUP sums of GROUP items, then one sum of GROUP. Two barriers instead of the
// log2 of a tree, for a barrier is what a software adapter pays most for; the order depends on WORKGROUP alone.
//
// The kernel defines GROUP and WORKGROUP = GROUP * GROUP. Calls may follow one another without a barrier between them:
// `sum_items` is last read before the second barrier of a call, `sum_groups` before the first barrier of the next.

var<workgroup> sum_items: array<vec2<f32>, WORKGROUP>;
var<workgroup> sum_groups: array<vec2<f32>, GROUP>;

fn workgroup_sum(lane: u32, value: vec2<f32>) -> vec2<f32> {
  sum_items[lane] = value;
  workgroupBarrier();
  if (lane < GROUP) {
    var group = vec2<f32>(0.0);
    for (var i = 0u; i < GROUP; i += 1u) {
      group += sum_items[lane * GROUP + i];
    }
    sum_groups[lane] = group;
  }
  workgroupBarrier();
  var total = vec2<f32>(0.0);
  for (var i = 0u; i < GROUP; i += 1u) {
    total += sum_groups[i];
  }
  return total;
}
