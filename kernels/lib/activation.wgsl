// Activation functions by code (src/ops/activation.ts: activationCodes), on one value or on four.
//
//   0 identity   1 relu   2 gelu (exact, by erf)   3 gelu_new (tanh form)   4 silu = swish   5 quick_gelu
//   6 tanh       7 sigmoid   8 leakyrelu (slope 0.01)
//
// Absolute error in f32: gelu 3e-7 over [-30, 30] (WGSL has no erf), the others a few roundings of the result.
// No intermediate is infinite: WGSL lets a compiler assume that there are no infinities, so every exponent is clamped.
// WGSL promises only 1e-5 for its own tanh, so tanh and sigmoid are built on exp.
// A code that is a constant leaves one branch in the compiled shader.

fn activate4(code: u32, x: vec4<f32>) -> vec4<f32> {
  switch code {
    case 1u: { return max(x, vec4<f32>(0.0)); }
    case 2u: { return activation_gelu(x); }
    // x/2 (1 + tanh z) = x / (1 + e^(-2z)), z = sqrt(2/pi) (x + 0.044715 x^3): no cancellation below zero.
    case 3u: { return x * activation_sigmoid(1.5957691216 * x * (1.0 + 0.044715 * x * x)); }
    case 4u: { return x * activation_sigmoid(x); }
    case 5u: { return x * activation_sigmoid(1.702 * x); }
    case 6u: { return activation_tanh(x); }
    case 7u: { return activation_sigmoid(x); }
    case 8u: { return max(x, 0.01 * x); }
    default: { return x; }
  }
}

fn activate(code: u32, x: f32) -> f32 {
  return activate4(code, vec4<f32>(x)).x;
}

// gelu(x) = max(x, 0) - |x| Q(|x|) with Q(a) = erfc(a / sqrt 2) / 2 = e^(-a^2/2) P(1 / (1 + a/4)): both tails keep
// their relative accuracy. P is a minimax fit of degree 7 on [0, 10], relative error 1.6e-7; Q(10) = 7.6e-24.
fn activation_gelu(x: vec4<f32>) -> vec4<f32> {
  let a = min(abs(x), vec4<f32>(10.0));
  return max(x, vec4<f32>(0.0)) - a * activation_tail(a);
}

// Q(a) for 0 <= a <= 10.
fn activation_tail(a: vec4<f32>) -> vec4<f32> {
  let t = 1.0 / (1.0 + 0.25 * a);
  var p = t * -0.0975639475 + 0.371020644;
  p = p * t - 0.327420016;
  p = p * t + 0.347941388;
  p = p * t - 0.0178561058;
  p = p * t + 0.127858229;
  p = p * t + 0.0957824535;
  p = p * t + 0.000237433864;
  return p * exp(-0.5 * a * a);
}

fn activation_sigmoid(x: vec4<f32>) -> vec4<f32> {
  return 1.0 / (1.0 + exp(clamp(-x, vec4<f32>(-87.0), vec4<f32>(87.0))));
}

// Near zero 1 - 2 / (e^2x + 1) cancels: there an odd polynomial (minimax on [0, 0.5], relative error 1.5e-8).
fn activation_tanh(x: vec4<f32>) -> vec4<f32> {
  let s = x * x;
  let near = x + x * s * (-0.33333144 + s * (0.13325879 + s * (-0.0530455 + s * 0.01724149)));
  let far = sign(x) * (1.0 - 2.0 / (1.0 + exp(2.0 * min(abs(x), vec4<f32>(10.0)))));
  return select(far, near, abs(x) < vec4<f32>(0.5));
}
