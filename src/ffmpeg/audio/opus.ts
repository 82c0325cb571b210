import type { AudioTrack } from '../../core/media/packet.ts'

/** Output audio: Opus packets of 20 ms. */
export const OPUS = [
  ...['-c:a', 'libopus', '-b:a', '128k'],
  // Otherwise Opus looks 4 ms further ahead, for a speech mode that is not used at this bitrate.
  ...['-application', 'lowdelay', '-frame_duration', '20'],
]

export function opusTrack(id: string, channels: number): AudioTrack {
  return { id, kind: 'audio', codec: 'opus', sampleRate: 48_000, channels }
}
