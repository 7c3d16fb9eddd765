// Scores as bits: an implementation may take it that no f32 is infinite or not a number, so both are told from the integers.

const SCORE_SIGN: u32 = 0x80000000u;
const SCORE_INFINITY: u32 = 0x7f800000u;
const SCORE_LARGEST: u32 = 0x7f7fffffu;

fn is_nan(bits: u32) -> bool {
  return (bits & ~SCORE_SIGN) > SCORE_INFINITY;
}

// Infinities, and what is not a number, become the largest finite number of their sign.
fn finite_bits(bits: u32) -> u32 {
  return select(bits, (bits & SCORE_SIGN) | SCORE_LARGEST, (bits & ~SCORE_SIGN) >= SCORE_INFINITY);
}
