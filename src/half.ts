/** @file Half precision on the host: rounding to nearest even, and packing two halves into a u32 as kernels read them. */

const scratch = new DataView(new ArrayBuffer(4));

/** @returns the bits of the half nearest to an f32 (ties to even); overflow gives infinity, NaN stays NaN. */
export function halfBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  const scaled = exponent - 112;
  if (scaled >= 31) return sign | 0x7c00;
  if (scaled <= 0) {
    if (scaled < -10) return sign;
    return sign | roundShift(fraction | 0x800000, 14 - scaled);
  }
  // A carry out of the fraction correctly moves on to the next exponent, and from the last one to infinity.
  return sign | ((scaled << 10) + roundShift(fraction, 13));
}

function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

/** @returns the number that half-precision bits stand for. */
export function halfValue(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** @returns halves packed in pairs, the even element in the low word half; an odd tail is padded with zero. */
export function packF16(values: Float32Array): Uint32Array {
  const packed = new Uint32Array(Math.ceil(values.length / 2));
  for (let i = 0; i < values.length; i += 1) {
    packed[i >> 1] = ((packed[i >> 1] as number) | (halfBits(values[i] as number) << ((i & 1) * 16))) >>> 0;
  }
  return packed;
}

/** @returns the values after rounding to half precision. */
export function roundF16(values: Float32Array): Float32Array {
  return values.map((value) => halfValue(halfBits(value)));
}
