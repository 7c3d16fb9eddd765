// Scores that depend on a row's place alone, for routers that are controls (MATHS §1.5):
//   first    score = -p: the k first rows of a segment win
//   strided  1 where (p k) mod n < k, else 0: exactly k of n rows, evenly spaced from row 0 on
//   random   uniform in [0, 1) in steps of 2^-24, a hash of (seed, stream, key of the segment, p)
// p is the row's place in its segment, n the segment's length, k the rows that it selects.
//
// segments [S + 1], selected_segments? [S + 1] (strided), keys? [S] (random) -> y [rows]
// Bindings: 4 storage buffers. Workgroup memory: none.
// Algorithm: one row an invocation; the hash is the 32-bit mixer of C. Wellons' hash prospector ("lowbias32").
// lib: segments
// --- parameters
const MODE: u32 = 2u; // 0 first, 1 strided, 2 random
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  segments: u32,
  grid_width: u32,
  seed: u32,
  stream: u32,
}

@group(0) @binding(0) var<storage, read> segments: array<u32>;
@group(0) @binding(1) var<storage, read> selected_segments: array<u32>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

fn mix_bits(value: u32) -> u32 {
  var x = value;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}

// (a b) mod n for n < 2^31, by doubling: the product itself does not fit 32 bits.
fn product_modulo(a: u32, b: u32, n: u32) -> u32 {
  var term = a % n;
  var sum = 0u;
  for (var rest = b; rest > 0u; rest >>= 1u) {
    if ((rest & 1u) == 1u) {
      sum = (sum + term) % n;
    }
    term = (term + term) % n;
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (row >= params.rows) {
    return;
  }
  let segment = segment_of(0u, params.segments, row);
  let place = row - segments[segment];
  if (MODE == 0u) {
    y[row] = -f32(place);
  } else if (MODE == 1u) {
    let n = segments[segment + 1u] - segments[segment];
    let k = selected_segments[segment + 1u] - selected_segments[segment];
    y[row] = select(0.0, 1.0, product_modulo(place, k, n) < k);
  } else {
    let stream = mix_bits(mix_bits(params.seed + 0x9e3779b9u) ^ params.stream);
    y[row] = f32(mix_bits(mix_bits(stream ^ keys[segment]) ^ place) >> 8u) * 5.9604644775390625e-8;
  }
}
