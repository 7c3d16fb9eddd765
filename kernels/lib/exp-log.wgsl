// exp and ln to about one unit in the last place on every device. WGSL's own may be off by 3 + 2|x| units (exp) and by
// 2^-21 (log), and with ε-scaling an error made at ε = 4 is divided by the final ε, 100 times smaller, afterwards.
// Argument reduction by a two-part ln 2 whose high part has 9 bits, so that its products with exponents are exact.
// exp_negative never falls as x rises: inside one exponent every step of it is monotone, and between two the mantissa is held
// inside [√½, √2], the upper end being twice the lower.

const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;
const SQRT_HALF: f32 = 0.70710677; // 0x3f3504f3
const SQRT_2: f32 = 1.4142135; // 0x3fb504f3

// e^x for x <= 0; zero where the result would not be a normal number.
fn exp_negative(x: f32) -> f32 {
  if (x < -87.0) {
    return 0.0;
  }
  let n = round(x * 1.4426950408889634);
  let r = (x - n * LN2_HIGH) - n * LN2_LOW;
  // Taylor to r^7: the rest is below 6e-9 for |r| <= ln 2 / 2.
  let high = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)));
  let y = clamp(1.0 + (r + r * r * (0.5 + r * (1.0 / 6.0 + r * high))), SQRT_HALF, SQRT_2);
  return y * bitcast<f32>(u32(i32(n) + 127) << 23u);
}

// ln x for normal x > 0, by the series of 2 artanh((m - 1) / (m + 1)).
fn ln(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  var e = f32(i32(bits >> 23u) - 127);
  var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
  if (m > 1.41421356) {
    m *= 0.5;
    e += 1.0;
  }
  let f = (m - 1.0) / (m + 1.0);
  let g = f * f;
  let series = 2.0 * f * (1.0 + g * (1.0 / 3.0 + g * (0.2 + g * (1.0 / 7.0 + g * (1.0 / 9.0)))));
  return e * LN2_HIGH + (e * LN2_LOW + series);
}
