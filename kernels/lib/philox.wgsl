// Philox 4x32-10, a counter-based generator: four words of random bits for a counter of four words and a key of two, the same on
// every device. J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

const PHILOX_MULTIPLIERS: vec2<u32> = vec2<u32>(0xd2511f53u, 0xcd9e8d57u);
const PHILOX_WEYL: vec2<u32> = vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
const PHILOX_ROUNDS: u32 = 10u;

// The upper words of 64-bit products, by halves: no partial sum passes 32 bits.
fn multiply_high(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let a_low = a & vec2<u32>(0xffffu);
  let a_high = a >> vec2<u32>(16u);
  let b_low = b & vec2<u32>(0xffffu);
  let b_high = b >> vec2<u32>(16u);
  let first = a_high * b_low + ((a_low * b_low) >> vec2<u32>(16u));
  let second = a_low * b_high + (first & vec2<u32>(0xffffu));
  return a_high * b_high + (first >> vec2<u32>(16u)) + (second >> vec2<u32>(16u));
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var k = key;
  for (var round = 0u; round < PHILOX_ROUNDS; round += 1u) {
    let high = multiply_high(PHILOX_MULTIPLIERS, c.xz);
    let low = PHILOX_MULTIPLIERS * c.xz;
    c = vec4<u32>(high.y ^ c.y ^ k.x, low.y, high.x ^ c.w ^ k.y, low.x);
    k += PHILOX_WEYL;
  }
  return c;
}
