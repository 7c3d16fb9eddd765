// The multiply-add ceiling of a device, for benches: chains of fused multiply-adds that do not wait for one another and
// touch no memory until the end.
//
//   y[i] = Σ over 12 chains c, which start at c, of x -> fma(x, factor, step) applied ROUNDS times (a multiple of 8)
//
// With factor = step = 1 every number on the way is a whole number below 2^24, so y[i] = 66 + 12 · ROUNDS exactly. Both
// come from the uniform, where no compiler can see them.
//
// Bindings: y [invocations] f32. Limits: none beyond WebGPU's defaults. Source: own.
// --- parameters
const ROUNDS: u32 = 1000u;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  factor: f32,
  step: f32,
}

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

// Twelve chains and two operands are what a vector unit with sixteen registers holds.
struct Chains {
  a0: f32, a1: f32, a2: f32, a3: f32, a4: f32, a5: f32, a6: f32, a7: f32, a8: f32, a9: f32, a10: f32, a11: f32,
}

fn advance(c: Chains, m: f32, s: f32) -> Chains {
  return Chains(
    fma(c.a0, m, s), fma(c.a1, m, s), fma(c.a2, m, s), fma(c.a3, m, s), fma(c.a4, m, s), fma(c.a5, m, s),
    fma(c.a6, m, s), fma(c.a7, m, s), fma(c.a8, m, s), fma(c.a9, m, s), fma(c.a10, m, s), fma(c.a11, m, s),
  );
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let m = params.factor;
  let s = params.step;
  var c = Chains(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0);
  // Eight steps a turn, so that the loop itself does not count.
  for (var round = 0u; round < ROUNDS; round += 8u) {
    c = advance(advance(advance(advance(c, m, s), m, s), m, s), m, s);
    c = advance(advance(advance(advance(c, m, s), m, s), m, s), m, s);
  }
  if (id.x < arrayLength(&y)) {
    y[id.x] = ((c.a0 + c.a1) + (c.a2 + c.a3)) + ((c.a4 + c.a5) + (c.a6 + c.a7)) + ((c.a8 + c.a9) + (c.a10 + c.a11));
  }
}
