// Derivatives of the activation functions by code (src/ops/activation.ts: activationCodes), on one value or on four. Comes after
// the library `activation`, which it shares its normal tail with.
//
// With s the logistic function and s' = s (1 - s):
//   0 identity 1        1 relu 1 where x > 0     2 gelu Phi(x) + x phi(x)      3 gelu_new s(u) + x u' s'(u), u = 2 z of the tanh form
//   4 silu s(x) + x s'(x)   5 quick_gelu as silu at 1.702 x   6 tanh 4 s'(2x)   7 sigmoid s'(x)   8 leakyrelu 1 where x > 0, else 0.01
//
// Absolute error in f32: 1e-6 over all numbers (every derivative is at most 1.13). Arguments are cut to where nothing changes any
// more, so that no intermediate is infinite. At 0 relu has 0 and leakyrelu 0.01.
// A code that is a constant leaves one branch in the compiled shader.

fn activation_slope4(code: u32, x: vec4<f32>) -> vec4<f32> {
  switch code {
    case 1u: { return select(vec4<f32>(0.0), vec4<f32>(1.0), x > vec4<f32>(0.0)); }
    case 2u: { return slope_of_gelu(x); }
    case 3u: { return slope_of_gelu_new(x); }
    case 4u: { return slope_of_silu(x); }
    case 5u: { return slope_of_silu(clamp(x, vec4<f32>(-87.0), vec4<f32>(87.0)) * 1.702); }
    case 6u: { return 4.0 * slope_of_sigmoid(2.0 * clamp(x, vec4<f32>(-43.0), vec4<f32>(43.0))); }
    case 7u: { return slope_of_sigmoid(x); }
    case 8u: { return select(vec4<f32>(0.01), vec4<f32>(1.0), x > vec4<f32>(0.0)); }
    default: { return vec4<f32>(1.0); }
  }
}

fn activation_slope(code: u32, x: f32) -> f32 {
  return activation_slope4(code, vec4<f32>(x)).x;
}

// e / (1 + e)^2 with e = exp(-|x|): 1 - s would cancel where s is close to 1.
fn slope_of_sigmoid(x: vec4<f32>) -> vec4<f32> {
  let e = exp(-min(abs(x), vec4<f32>(87.0)));
  let s = 1.0 / (1.0 + e);
  return e * s * s;
}

fn slope_of_silu(x: vec4<f32>) -> vec4<f32> {
  let a = clamp(x, vec4<f32>(-87.0), vec4<f32>(87.0));
  let e = exp(-abs(a));
  let s = 1.0 / (1.0 + e);
  return s * (select(e, vec4<f32>(1.0), a > vec4<f32>(0.0)) + a * e * s);
}

fn slope_of_gelu_new(x: vec4<f32>) -> vec4<f32> {
  let a = clamp(x, vec4<f32>(-10.0), vec4<f32>(10.0));
  let square = 0.044715 * a * a;
  let e = exp(-min(1.5957691216 * abs(a) * (1.0 + square), vec4<f32>(87.0)));
  let s = 1.0 / (1.0 + e);
  let inner = 1.5957691216 * a * (1.0 + 3.0 * square); // x u'
  return s * (select(e, vec4<f32>(1.0), a > vec4<f32>(0.0)) + inner * e * s);
}

fn slope_of_gelu(x: vec4<f32>) -> vec4<f32> {
  let a = min(abs(x), vec4<f32>(10.0));
  let density = 0.39894228 * exp(-0.5 * a * a);
  let tail = activation_tail(a);
  let positive = x > vec4<f32>(0.0);
  return select(tail, 1.0 - tail, positive) + select(-a, a, positive) * density;
}
