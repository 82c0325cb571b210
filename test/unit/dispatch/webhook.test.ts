import { createHash } from 'node:crypto'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { concernedRoom, readWebhook } from '../../../src/dispatch/livekit/webhook.ts'

const KEY = { apiKey: 'key', apiSecret: 'a secret of at least thirty-two bytes' }
const EVENT = { event: 'track_published', id: 'EV_1', room: { name: 'studio' }, track: { type: 'VIDEO', sid: 'TR_1' } }

type Forgery = { secret?: string; issuer?: string; expires?: string; sha256?: string; alg?: string }

async function send(event: unknown, { secret, issuer, expires, sha256, alg }: Forgery = {}) {
  const body = new TextEncoder().encode(typeof event === 'string' ? event : JSON.stringify(event))
  const hash = createHash('sha256').update(body).digest('base64')
  const token = await new SignJWT({ sha256: sha256 ?? hash })
    .setProtectedHeader({ alg: alg ?? 'HS256' })
    .setIssuer(issuer ?? KEY.apiKey)
    .setExpirationTime(expires ?? '5m')
    .sign(new TextEncoder().encode(secret ?? KEY.apiSecret))
  return await readWebhook(body, token, KEY)
}

describe('a webhook', () => {
  it('of LiveKit is accepted', async () => {
    expect(await send(EVENT)).toMatchObject({ event: 'track_published', room: { name: 'studio' } })
  })

  it.each<[string, Forgery, RegExp]>([
    [
      'signed with another secret',
      { secret: 'another secret of at least thirty-two' },
      /not signed with LIVEKIT_API_SECRET/,
    ],
    ['of another key', { issuer: 'other' }, /claim "iss"/],
    ['that is old', { expires: '-2m' }, /expired/],
    ['with another body', { sha256: createHash('sha256').update('other').digest('base64') }, /another body/],
    ['without the hash of a body', { sha256: '' }, /another body/],
    ['signed in another way', { alg: 'HS512' }, /no token of LiveKit/],
  ])('%s is refused', async (_, forgery, why) => {
    await expect(send(EVENT, forgery)).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringMatching(why),
    })
  })

  it('without a signature is refused', async () => {
    const body = new TextEncoder().encode(JSON.stringify(EVENT))
    const hash = createHash('sha256').update(body).digest('base64')
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const none = `${part({ alg: 'none' })}.${part({ iss: KEY.apiKey, sha256: hash, exp: 9e9 })}.`
    for (const token of [none, 'x', '', undefined])
      await expect(readWebhook(body, token, KEY)).rejects.toMatchObject({ code: 'unauthorized' })
  })

  it('that is not an event is refused', async () => {
    for (const body of ['{', '[]', '{}', 'null'])
      await expect(send(body)).rejects.toMatchObject({ code: 'invalid-request' })
  })

  it.each<[string, object, boolean]>([
    ['a video track', EVENT, true],
    // AUDIO, the first value of the enum, is omitted on the wire.
    ['an audio track', { ...EVENT, track: { sid: 'TR_1' } }, false],
    ['a viewer who leaves', { event: 'participant_left', participant: { identity: 'viewer' } }, false],
    [
      'a publisher who leaves',
      { event: 'participant_left', participant: { identity: 'host', isPublisher: true } },
      true,
    ],
    ['the processor that leaves', { event: 'participant_left', participant: { identity: 'millrace' } }, true],
    ['somebody who joins', { event: 'participant_joined', participant: { identity: 'host' } }, false],
    ['the end of the room', { event: 'room_finished' }, true],
    ['another event', { event: 'egress_started' }, false],
  ])('of %s: is an update due?', async (_, event, expected) => {
    const read = await send({ room: { name: 'studio' }, ...event })
    expect(concernedRoom(read)).toBe(expected ? 'studio' : undefined)
  })
})
