// Row reductions with one row per workgroup (ROWS = 1) of LANES invocations, a power of two: a tree in workgroup
// memory, 4 LANES bytes. Every invocation of the workgroup has to call, and each gets the result. The order of the
// tree is fixed, so a row gives the same bits wherever it stands.
// row-lane.wgsl has the same names for one row per invocation.

var<workgroup> row_partials: array<f32, LANES>;

fn row_sum(value: f32, lane: u32) -> f32 {
  row_partials[lane] = value;
  for (var step = LANES / 2u; step > 0u; step = step / 2u) {
    workgroupBarrier();
    if (lane < step) {
      row_partials[lane] += row_partials[lane + step];
    }
  }
  // Waits before and after the load, so that the partials are free for the next reduction.
  return workgroupUniformLoad(&row_partials[0]);
}

fn row_max(value: f32, lane: u32) -> f32 {
  row_partials[lane] = value;
  for (var step = LANES / 2u; step > 0u; step = step / 2u) {
    workgroupBarrier();
    if (lane < step) {
      row_partials[lane] = max(row_partials[lane], row_partials[lane + step]);
    }
  }
  return workgroupUniformLoad(&row_partials[0]);
}
