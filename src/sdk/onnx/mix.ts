import type { VideoFrame } from '../../core/media/frame.ts'

/**
 * Blends `source` (strength 0) and `made` (strength 1). `source` is rgb24 and has the same size; `made` is rgb24 or
 * gray. Always returns rgb24, so that a change of strength never changes the format.
 */
export function mix(source: VideoFrame, made: VideoFrame, strength: number): VideoFrame {
  if (strength === 1 && made.format === 'rgb24') return made
  const data = new Uint8Array(source.data.length)
  const weight = Math.round(strength * 256)
  const step = made.format === 'gray' ? 3 : 1
  for (let i = 0, from = 0; i < data.length; from++) {
    const target = made.data[from] as number
    for (const end = i + step; i < end; i++) {
      const value = source.data[i] as number
      data[i] = value + (((target - value) * weight) >> 8)
    }
  }
  return { ...made, format: 'rgb24', data }
}
