// What the variants of the ops fusion and fusion-gradient share: bindings of what both read, the records of a fusion, and the units
// of a row.
//
// For adapter a, with n units in use, k = active width, T the temperature, f the factors (1 without):
//   u_a = act_a(hidden_a)                                   units past k count as 0, whatever stands there
//   score_a = f_a (sum_k score_a,k u_a,k + offset_a) / T
//   p = softmax over the adapters that are not pruned, and whose factor is not below 0; then p_a = 0 where adapter a is forced to 0
//   y = [p_1 u_1 … p_N u_N, p_1 … p_N, 0 …],  weights = p
//
// The kernel that appends this declares ADAPTERS (N), WIDTH (B, a multiple of 4), HAS_FACTOR and `params`, and appends the library
// activation.

struct Params {
  rows: u32,
  grid_width: u32,
  slot: u32, // row of the table
  hidden_stride: u32, // of a row, in vec4
  score_stride: u32,
  score_at: u32, // first vec4 of the score part of a row
}

@group(0) @binding(0) var<storage, read> hidden: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> score: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> factor: array<f32>;

const CHUNKS: u32 = WIDTH / 4u; // of an adapter's units
const Y_CHUNKS: u32 = (ADAPTERS * (WIDTH + 1u) + 7u) / 8u * 2u; // of a row of y, and of gradients of scores
const FORCED: u32 = 1u;
const PRUNED: u32 = 2u;
const LOWEST: f32 = -3.4028234e38; // WGSL has no infinities to rely on

// Active width, activation code and flags of an adapter.
fn adapter_record(a: u32) -> vec4<u32> {
  return table[params.slot * (ADAPTERS + 1u) + 1u + a];
}

// What the score of an adapter is multiplied by in a row; below 0 it is not there.
fn score_factor(row: u32, a: u32) -> f32 {
  if (HAS_FACTOR) {
    return factor[row * ADAPTERS + a];
  }
  return 1.0;
}

// Whether an adapter has no part in the softmax of a row.
fn is_pruned(row: u32, a: u32, record: vec4<u32>) -> bool {
  return (record.z & PRUNED) != 0u || score_factor(row, a) < 0.0;
}

fn temperature() -> f32 {
  return bitcast<f32>(table[params.slot * (ADAPTERS + 1u)].x);
}

// Units that take part: a pruned adapter has none.
fn active_width(record: vec4<u32>) -> u32 {
  return select(min(record.x, WIDTH), 0u, (record.z & PRUNED) != 0u);
}

fn used_units(c: u32, width: u32) -> vec4<bool> {
  return (4u * c + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(width);
}

// Four units from a chunk of the hidden part.
fn units(h: vec4<f32>, code: u32, used: vec4<bool>) -> vec4<f32> {
  return select(vec4<f32>(0.0), activate4(code, h), used);
}

fn score_offset(row: u32, a: u32) -> f32 {
  let at = ADAPTERS * WIDTH + a;
  return score[row * params.score_stride + params.score_at + at / 4u][at % 4u];
}
