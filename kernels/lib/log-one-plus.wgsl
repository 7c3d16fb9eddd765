// ln(1 + e) for e from 0 to 1 to a few units in the last place, also where 1 + e rounds to 1: 2 artanh(e / (2 + e)) by its series,
// the rest of which is below 2e-8 of the sum at e = 1.

fn log_one_plus(e: f32) -> f32 {
  let f = e / (2.0 + e);
  let g = f * f;
  let tail = 1.0 / 7.0 + g * (1.0 / 9.0 + g * (1.0 / 11.0 + g * (1.0 / 13.0)));
  return 2.0 * f * (1.0 + g * (1.0 / 3.0 + g * (0.2 + g * tail)));
}
