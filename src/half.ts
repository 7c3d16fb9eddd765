/** @file IEEE 754 half precision as bit code, since Node 20 has no `Float16Array`. Known to all rooms. */

const SMALLEST_SUBNORMAL = 2 ** -24;

/** Widens halves (as bit patterns); exact, NaN payloads kept. */
export function f16ToF32(halves: Uint16Array): Float32Array {
  const result = new Float32Array(halves.length);
  const bits = new Uint32Array(result.buffer);
  for (let index = 0; index < halves.length; index++) {
    const half = halves[index] as number;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0) result[index] = (sign === 0 ? 1 : -1) * mantissa * SMALLEST_SUBNORMAL;
    else bits[index] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13);
  }
  return result;
}

/** Narrows to halves (as bit patterns), to nearest, ties to even; from 65,520 on to infinity; NaN stays NaN. */
export function f32ToF16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let index = 0; index < bits.length; index++) result[index] = halfBits(bits[index] as number);
  return result;
}

function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  const mantissa = bits & 0x7fffff;
  if (exponent === 255 - 112) return sign | (mantissa === 0 ? 0x7c00 : 0x7e00 | (mantissa >>> 13));
  if (exponent >= 31) return sign | 0x7c00;
  if (exponent < -10) return sign;
  if (exponent <= 0) return sign | roundShift(mantissa | 0x800000, 14 - exponent);
  // A mantissa that rounds up to 2^10 carries into the exponent, and from the largest exponent into infinity: both right.
  return sign | roundShift((exponent << 23) | mantissa, 13);
}

/** value / 2^shift, to nearest, ties to even. */
function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return rest > middle || (rest === middle && (kept & 1) === 1) ? kept + 1 : kept;
}

/** @returns halves packed in pairs as kernels read them, the even element in the low half; an odd tail is padded with zero. */
export function packF16(values: Float32Array): Uint32Array {
  const packed = new Uint32Array(Math.ceil(values.length / 2));
  new Uint16Array(packed.buffer).set(f32ToF16(values));
  return packed;
}

/** @returns the values after rounding to half precision. */
export function roundF16(values: Float32Array): Float32Array {
  return f16ToF32(f32ToF16(values));
}
