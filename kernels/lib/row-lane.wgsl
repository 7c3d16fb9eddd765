// Row reductions with one row per invocation (LANES = 1): nothing is shared, so nothing has to be combined. The best
// choice on software adapters, where a barrier costs 85 ns per four invocations, and for rows of a few values.
// row-workgroup.wgsl has the same names for one row per workgroup.

fn row_sum(value: f32, lane: u32) -> f32 {
  return value;
}

fn row_max(value: f32, lane: u32) -> f32 {
  return value;
}
