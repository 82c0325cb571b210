import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'

describe('readConfig', () => {
  it('listens on loopback until a token is set', () => {
    expect(readConfig({})).toMatchObject({ host: '127.0.0.1', port: 8000, pipeline: 'noop', unprotected: false })
    expect(readConfig({ AUTH_TOKEN: 'secret' })).toMatchObject({ host: '0.0.0.0', unprotected: false })
    expect(readConfig({ HOST: '0.0.0.0' })).toMatchObject({ host: '0.0.0.0', unprotected: true })
  })

  it.each([
    ['the seed form', { PIPELINE: 'effects', MODEL_ID: 'effects' }, 'effects'],
    ['the Livepeer form', { PIPELINE: 'live-video-to-video', MODEL_ID: 'effects' }, 'effects'],
    ['PIPELINE alone', { PIPELINE: 'effects' }, 'effects'],
    ['MODEL_ID alone', { MODEL_ID: 'effects' }, 'effects'],
    ['neither', {}, 'noop'],
  ])('accepts %s', (_, environment, expected) => {
    expect(readConfig(environment).pipeline).toBe(expected)
  })

  it.each([
    ['PORT', 'eighty', /^PORT is "eighty": must be a whole number from 0 to 65535$/],
    ['PIPELINE_PARAMS', '[1]', /^PIPELINE_PARAMS is "\[1\]": .*must be a JSON object/],
    ['PIPELINE_PARAMS', '{', /^PIPELINE_PARAMS is "\{": must be a JSON object$/],
    ['UDP_PORTS', '9-1', /^UDP_PORTS is "9-1": must be two ports/],
    ['MAX_PIXELS', '1x1', /^MAX_PIXELS is "1x1": must be a size/],
    ['VIDEO_ENCODER', 'cinepak', /^VIDEO_ENCODER is "cinepak": .*libx264/],
    ['ALLOWED_URLS', '10.0.0.5', /^ALLOWED_URLS is "10.0.0.5": must be origins/],
    ['ALLOWED_URLS', 'http://10.0.0.5/path', /must be origins/],
    ['LIVEPEER_PRICE', '1/day', /^LIVEPEER_PRICE is "1\/day": must be US dollars/],
    ['LIVEPEER_ORCHESTRATOR', 'orchestrator:8935', /^LIVEPEER_ORCHESTRATOR is "orchestrator:8935": must be a URL/],
    ['LIVEPEER_BUSY', 'queue', /^LIVEPEER_BUSY is "queue": .*preempt/],
    ['PUBLIC_IP', 'example.org', /^PUBLIC_IP is "example.org": must be an IP address$/],
  ])('refuses an invalid %s in one line', (name, value, message) => {
    expect(() => readConfig({ [name]: value })).toThrow(message)
  })

  it('refuses two names for one pipeline', () => {
    expect(() => readConfig({ PIPELINE: 'a', MODEL_ID: 'b' })).toThrow(/MODEL_ID is "b" but PIPELINE is "a"/)
  })

  it('registers with an orchestrator only with a secret', () => {
    expect(readConfig({}).livepeer.registration).toBeUndefined()
    const LIVEPEER_ORCHESTRATOR = 'https://orchestrator.example:8935/'
    expect(() => readConfig({ LIVEPEER_ORCHESTRATOR })).toThrow(/^LIVEPEER_ORCH_SECRET is not set/)
    const { livepeer } = readConfig({ LIVEPEER_ORCHESTRATOR, LIVEPEER_ORCH_SECRET: 's', LIVEPEER_PRICE: '0.35/hour' })
    expect(livepeer.registration).toMatchObject({
      orchestrator: 'https://orchestrator.example:8935',
      app: 'noop',
      price: { price: 0.35, currency: 'usd', unit: 'hour' },
    })
  })

  it('parses origins', () => {
    const { allowedUrls } = readConfig({ ALLOWED_URLS: 'http://10.0.0.5:8935/, https://[::1]:443' })
    expect(allowedUrls).toEqual(['http://10.0.0.5:8935', 'https://[::1]'])
  })

  it('parses a size as pixels', () => {
    expect(readConfig({ MAX_PIXELS: '1280x720' }).maxPixels).toBe(921_600)
    expect(readConfig({ MAX_PIXELS: '' }).maxPixels).toBe(1920 * 1088)
  })
})
