import type { VideoFrame } from '../../core/media/frame.ts'

/** From `source` (rgb24), at strength 0, to `made` (rgb24 or gray), at 1; frames of other sizes are not mixed. */
export function mix(source: VideoFrame, made: VideoFrame, strength: number): VideoFrame {
  if (strength === 1 || source.width !== made.width || source.height !== made.height) return made
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
  return { ...source, data }
}
