// All T iterations of the published soft top-k by one workgroup.
//
// Needs soft-top-k-paper.wgsl, workgroup-sum.wgsl and workgroup-max.wgsl. Params has iterations, epsilon, epsilon_start,
// epsilon_decay, and minus_scores, 1 for the start b = -s, whose first iteration has z = 0. The kernel defines
// `fn keep_iteration(lane: u32, t: u32, kept: Iteration)`, called by all lanes after iteration t = 0 .. T - 1.

struct Iteration {
  base: Pair, // m_t
  epsilon: f32,
  sum: f32, // Σ_t
  saturated: f32, // scores that were capped at m_t = θ_{t-1}; -1 where θ_{t-1} capped none
}

// θ_T of rows [start, end). All lanes must call it together, with 0 < k < end - start.
fn iterate(lane: u32, start: u32, end: u32, k: u32) -> Pair {
  let largest = workgroup_max(lane, lane_largest(lane, start, end));
  var threshold = Pair(largest, 0.0);
  var epsilon = max(params.epsilon_start, params.epsilon);
  for (var t = 0u; t < params.iterations; t += 1u) {
    var kept = Iteration(capped(largest, threshold), epsilon, 0.0, -1.0);
    if (t == 0u && params.minus_scores == 1u) {
      kept.base = Pair(0.0, 0.0);
      kept.sum = f32(end - start);
    } else {
      let sums = workgroup_sum(lane, paper_sums(lane, start, end, kept.base, 1.0 / epsilon));
      kept.sum = sums.x;
      kept.saturated = select(-1.0, sums.y, t > 0u && above(largest, threshold) >= 0.0);
    }
    keep_iteration(lane, t, kept);
    threshold = moved(kept.base, epsilon, kept.sum, k);
    epsilon = max(epsilon * params.epsilon_decay, params.epsilon);
  }
  return threshold;
}
