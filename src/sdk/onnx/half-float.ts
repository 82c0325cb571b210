// IEEE 754-2008 §3.4, binary16: 1 sign bit, 5 exponent bits with bias 15, 10 significand bits.
const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** The bits of the half-precision number nearest to `value`. */
export function halfFromFloat(value: number): number {
  float[0] = value
  const whole = bits[0] as number
  const sign = (whole >>> 16) & 0x8000
  const magnitude = whole & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) return sign | roundEven(Math.abs(float[0] as number) * 2 ** 24)
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

export function floatFromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 31
  const significand = half & 1023
  if (exponent === 31) return significand ? Number.NaN : sign * Number.POSITIVE_INFINITY
  if (exponent === 0) return sign * significand * 2 ** -24
  return sign * (1 + significand / 1024) * 2 ** (exponent - 15)
}

/** Ties go to the even number. */
function roundEven(value: number): number {
  const down = Math.floor(value)
  const rest = value - down
  return down + (rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? 1 : 0)
}
