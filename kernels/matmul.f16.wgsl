// y = act(x · Wᵀ + bias) + residual, multiplied in half precision: the variant for a matmul whose attribute `compute` is
// "f16". Tiles of 64x64 elements by 256 invocations through workgroup memory, as matmul.tiled, at half the memory.
//
// Maths: row r of x is scaled by the power of two t that brings its largest magnitude into [4, 8), which is exact; x and w
// are rounded to f16; CHUNK products along K are summed in f16 by fused multiply-adds, the sums of chunks in f32:
//
//   y = act(sum over chunks of f32(chain of CHUNK fma(f16(t x), f16(w), ·)) / t + bias) + residual
//
// Any finite x is fine. |w| must stay below 65504 / (8 CHUNK) = 1023, or a chunk may overflow.
// Error of the sum, with u = 2^-11 (half an f16 unit) and h = 2^-14 (the smallest normal f16, below which values may be
// flushed): every product goes through 2 conversions, at most CHUNK additions and, where fma is not fused, 1 more rounding:
//
//   |error| <= (CHUNK + 3) u sum |x w|  +  K h (9 + max |w|) / t  +  the error of K / CHUNK additions in f32.
//
// When the signs are random that is u sqrt((CHUNK + 1) / 6 + 2 / 3) of the root mean square of the sum, whatever K is.
//
// Shapes: x [sources, K], w [N, K] (f32 or f16), K a multiple of 4, y [rows, columns]; optional inputs as in
// kernels/lib/matmul-epilogue.wgsl. Bindings: 8 storage buffers, 1 uniform. Workgroup memory: 5 KiB, 256 invocations.
// Feature: shader-f16. Every tile reads its rows of x twice, first for their largest magnitudes. Own work.
// lib: weight-f32|weight-f16 matmul-rows matmul-epilogue activation

enable f16;

// --- parameters
const ACTIVATION: u32 = 0u;
const CHUNK: u32 = 8u; // products along K that are summed in f16: a divisor of 16
// --- end parameters

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<weight_vec4>;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u; // elements along K that a tile holds: 4 vec4, so that 256 invocations load one vec4 each
const SIDE: u32 = 16u; // invocations along each side of the tile
const READERS: u32 = 4u; // invocations that load one row

var<workgroup> x_tile: array<array<f16, TILE>, DEPTH>;
var<workgroup> w_tile: array<array<f16, TILE>, DEPTH>;
var<workgroup> peaks: array<u32, TILE * READERS>; // bits of the largest magnitude that each reader saw

// The biased exponent of the largest magnitude of a row of the tile, kept where both 2^(129 - e) and its inverse are
// normal. Magnitudes are compared as integers, which order as floats do and also hold infinities and NaN.
fn row_exponent(row: u32) -> u32 {
  let at = row * READERS;
  let peak = max(max(peaks[at], peaks[at + 1u]), max(peaks[at + 2u], peaks[at + 3u]));
  return clamp(peak >> 23u, 3u, 254u);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = group.x + group.y * groups.x;
  let tiles = (params.columns + TILE - 1u) / TILE;
  let first_row = tile / tiles * TILE;
  let first_column = tile % tiles * TILE;
  let steps = params.inner / 4u;
  // Loading: 4 neighbouring invocations read 16 neighbouring elements of one row.
  let own = local / READERS;
  let part = local % READERS;
  let left = source_row(first_row + own) * steps;
  let right = weight_row(first_column + own) * steps;
  var peak = vec4<u32>();
  for (var k = part; k < steps; k += READERS) {
    peak = max(peak, bitcast<vec4<u32>>(x[left + k]) & vec4<u32>(0x7fffffffu));
  }
  peaks[local] = max(max(peak.x, peak.y), max(peak.z, peak.w));
  workgroupBarrier();
  let scale = bitcast<f32>((256u - row_exponent(own)) << 23u);
  let row = local / SIDE * 4u;
  let column = local % SIDE * 4u;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var k = 0u; k < steps; k += DEPTH / 4u) {
    let inside = k + part < steps;
    let step = min(k + part, steps - 1u);
    let xv = vec4<f16>(select(vec4<f32>(), scale * x[left + step], inside));
    let wv = vec4<f16>(select(vec4<f32>(), load_weight(w[right + step]), inside));
    workgroupBarrier();
    for (var i = 0u; i < 4u; i += 1u) {
      x_tile[part * 4u + i][own] = xv[i];
      w_tile[part * 4u + i][own] = wv[i];
    }
    workgroupBarrier();
    for (var start = 0u; start < DEPTH; start += CHUNK) {
      var c0 = vec4<f16>();
      var c1 = vec4<f16>();
      var c2 = vec4<f16>();
      var c3 = vec4<f16>();
      for (var i = start; i < start + CHUNK; i += 1u) {
        let v = vec4<f16>(w_tile[i][column], w_tile[i][column + 1u], w_tile[i][column + 2u], w_tile[i][column + 3u]);
        c0 = fma(vec4<f16>(x_tile[i][row]), v, c0);
        c1 = fma(vec4<f16>(x_tile[i][row + 1u]), v, c1);
        c2 = fma(vec4<f16>(x_tile[i][row + 2u]), v, c2);
        c3 = fma(vec4<f16>(x_tile[i][row + 3u]), v, c3);
      }
      s0 += vec4<f32>(c0);
      s1 += vec4<f32>(c1);
      s2 += vec4<f32>(c2);
      s3 += vec4<f32>(c3);
    }
  }
  var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
  for (var i = 0u; i < 16u; i += 1u) {
    let to_row = first_row + row + i / 4u;
    let to_column = first_column + column + i % 4u;
    if (to_row < params.rows && to_column < params.columns) {
      let unscale = bitcast<f32>((row_exponent(row + i / 4u) - 2u) << 23u);
      finish(to_row, to_column, unscale * sums[i / 4u][i % 4u], column_bias(to_column));
    }
  }
}
