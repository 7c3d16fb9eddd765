// The k-th largest of a segment's scores by one workgroup: radix select over order-preserving u32 keys, 4 passes of 8
// bits. Counting uses integer atomics only, so the result is the same in every run. Source: Alabi et al., "Fast
// k-selection algorithms for graphics processing units" (2012), bucket select with radix digits.
//
// Needs workgroup-scan.wgsl. The kernel defines GROUP, WORKGROUP = GROUP * GROUP <= 256, a power of two, and
// `fn score_bits(i: u32) -> u32`, the bits of score i. Scores are read as integers so that a device that flushes
// denormals ranks them all the same.

const RADIX_BINS: u32 = 256u;
const RADIX_SIGN: u32 = 0x80000000u;

var<workgroup> radix_bins: array<atomic<u32>, RADIX_BINS>;
var<workgroup> radix_found: vec3<u32>; // bin, keys in bins above it, keys in it

struct Selection {
  key: u32, // of the k-th largest
  above: u32, // scores greater than it: less than k
}

// Keys order as the floats do; -0.0 and +0.0 share one.
fn sortable(bits: u32) -> u32 {
  if ((bits & ~RADIX_SIGN) == 0u) {
    return RADIX_SIGN;
  }
  return select(bits | RADIX_SIGN, ~bits, bits >= RADIX_SIGN);
}

fn unsortable(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & ~RADIX_SIGN, key >= RADIX_SIGN));
}

// In radix_bins, filled behind a barrier, the bin of the `rank`-th largest of `matching` keys: its number, the keys in bins
// above it, the keys in it. All lanes must call it together; it ends with a barrier.
fn radix_pick(lane: u32, rank: u32, matching: u32) -> vec3<u32> {
  const PER_LANE = RADIX_BINS / WORKGROUP;
  var own = 0u;
  for (var bin = 0u; bin < PER_LANE; bin += 1u) {
    own += atomicLoad(&radix_bins[lane * PER_LANE + bin]);
  }
  var above = matching - workgroup_scan(lane, vec2<u32>(own, 0u)).x - own;
  if (above < rank && rank <= above + own) {
    var bin = lane * PER_LANE + PER_LANE - 1u;
    var here = atomicLoad(&radix_bins[bin]);
    while (above + here < rank) {
      above += here;
      bin -= 1u;
      here = atomicLoad(&radix_bins[bin]);
    }
    radix_found = vec3<u32>(bin, above, here);
  }
  workgroupBarrier();
  return radix_found;
}

// Of scores [start, start + count), with 1 <= k <= count. All lanes must call it together; it ends with a barrier.
fn radix_select(lane: u32, start: u32, count: u32, k: u32) -> Selection {
  var prefix = 0u;
  var rank = k;
  var matching = count;
  for (var step = 0u; step < 4u; step += 1u) {
    let shift = 24u - 8u * step;
    for (var bin = lane; bin < RADIX_BINS; bin += WORKGROUP) {
      atomicStore(&radix_bins[bin], 0u);
    }
    workgroupBarrier();
    for (var i = lane; i < count; i += WORKGROUP) {
      let digits = sortable(score_bits(start + i)) >> shift;
      if ((digits >> 8u) == prefix) {
        atomicAdd(&radix_bins[digits & 255u], 1u);
      }
    }
    workgroupBarrier();
    let found = radix_pick(lane, rank, matching);
    prefix = (prefix << 8u) | found.x;
    rank -= found.y;
    matching = found.z;
  }
  return Selection(prefix, k - rank);
}
