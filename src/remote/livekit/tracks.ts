import { AppError } from '../../core/errors.ts'
import type { LiveKitParticipant, LiveKitTrack } from './room-service.ts'

/** Identity of processed tracks: its holder in a room works on that room. */
export const IDENTITY = 'millrace'

/** The requested track. */
export type TrackWish = {
  /** SID or name of a video track. */
  track: string
  /** Identity of its publisher; required if several publish a track with that name. */
  participant?: string
}

export type FoundTrack = {
  participant: string
  video: LiveKitTrack
  /** The audio track that belongs to it. */
  audio: LiveKitTrack | undefined
}

/** @throws AppError `conflict` if several tracks match. */
export function findTrack(
  participants: readonly LiveKitParticipant[],
  { track, participant }: TrackWish,
): FoundTrack | undefined {
  const candidates = participants.flatMap(({ identity, tracks }) => {
    // A processed track is not processed again.
    if (identity === IDENTITY || (participant !== undefined && identity !== participant)) return []
    const videos = tracks.filter(({ type, sid, name }) => type === 'VIDEO' && (sid === track || name === track))
    return videos.map((video) => ({ participant: identity, video, audio: audioBeside(video, tracks) }))
  })
  if (candidates.length > 1) {
    const who = [...new Set(candidates.map((one) => one.participant))]
    const mend = who.length > 1 ? `name one of ${who.slice(0, 5).join(', ')} as participant` : 'name its SID'
    throw new AppError('conflict', `${candidates.length} video tracks of the room are named "${track}": ${mend}`)
  }
  return candidates[0]
}

/** The same track after its publisher returned: another SID from the same participant. */
export function findAgain(participants: readonly LiveKitParticipant[], known: FoundTrack): FoundTrack | undefined {
  const { sid, name, source } = known.video
  const same = participants.find(({ identity }) => identity === known.participant)
  const videos = (same?.tracks ?? []).filter(({ type }) => type === 'VIDEO')
  const video =
    videos.find((one) => one.sid === sid) ?? videos.find((one) => one.name === name && one.source === source)
  return video && { participant: known.participant, video, audio: audioBeside(video, same!.tracks) }
}

/** A screen share has its own audio; other video goes with the microphone. */
function audioBeside(video: LiveKitTrack, tracks: readonly LiveKitTrack[]): LiveKitTrack | undefined {
  const audios = tracks.filter(({ type }) => type === 'AUDIO')
  const screen = video.source === 'SCREEN_SHARE'
  return audios.find(({ source }) => (source === 'SCREEN_SHARE_AUDIO') === screen)
}

export function countOf(participants: readonly LiveKitParticipant[], type: 'VIDEO' | 'AUDIO'): number {
  return participants.flatMap(({ tracks }) => tracks).filter((track) => track.type === type).length
}
