import { describe, expect, test } from 'vitest'
import type { LiveKitParticipant, LiveKitTrack } from '../../../src/remote/livekit/room-service.ts'
import { countOf, findAgain, findTrack } from '../../../src/remote/livekit/tracks.ts'

const track = (sid: string, name: string, more: Partial<LiveKitTrack> = {}): LiveKitTrack => ({
  ...{ sid, name, type: 'VIDEO', source: 'CAMERA', muted: false, ...more },
})
const audio = (sid: string, source = 'MICROPHONE') => track(sid, '', { type: 'AUDIO', source })
const who = (identity: string, ...tracks: LiveKitTrack[]): LiveKitParticipant => ({
  ...{ sid: `PA_${identity}`, identity, attributes: {}, tracks },
})

const room = [
  who('alice', audio('TR_a1'), track('TR_a2', 'cam'), track('TR_a3', 'screen', { source: 'SCREEN_SHARE' })),
  who('bob', track('TR_b1', 'cam')),
  who('millrace', track('TR_m1', 'cam'), audio('TR_m2')),
]

describe('a track of a room', () => {
  test.each([
    ['by its SID', { track: 'TR_a2' }, 'TR_a2', 'TR_a1'],
    ['by its name and publisher', { track: 'cam', participant: 'bob' }, 'TR_b1', undefined],
    ['a screen, which has an audio of its own', { track: 'screen' }, 'TR_a3', undefined],
  ])('is found %s', (_, wish, video, beside) => {
    const found = findTrack(room, wish)
    expect([found?.video.sid, found?.audio?.sid]).toEqual([video, beside])
  })

  test.each([
    ['audio', { track: 'TR_a1' }],
    ['what was processed already', { track: 'TR_m1' }],
    ['a name of another participant', { track: 'screen', participant: 'bob' }],
  ])('is not %s', (_, wish) => {
    expect(findTrack(room, wish)).toBeUndefined()
  })

  test('is ambiguous where several match', () => {
    expect(() => findTrack(room, { track: 'cam' })).toThrow(/name one of alice, bob as participant/)
    const twice = [who('carol', track('TR_1', 'x'), track('TR_2', 'x'))]
    expect(() => findTrack(twice, { track: 'x' })).toThrow(/name its SID/)
  })

  test('is recognised by publisher, name and source', () => {
    const known = findTrack(room, { track: 'TR_a2' })!
    const back = [who('bob', track('TR_b1', 'cam')), who('alice', track('TR_a9', 'cam'), audio('TR_a8'))]
    expect(findAgain(back, known)).toMatchObject({ video: { sid: 'TR_a9' }, audio: { sid: 'TR_a8' } })
    expect(findAgain([who('alice', track('TR_a9', 'other'))], known)).toBeUndefined()
    expect(findAgain([who('bob', track('TR_b1', 'cam'))], known)).toBeUndefined()
  })

  test('tracks are counted by kind', () => {
    expect([countOf(room, 'VIDEO'), countOf(room, 'AUDIO')]).toEqual([4, 2])
  })
})
