import { describe, expect, it } from 'vitest'
import { type Colour, DEFAULT_COLOUR } from '../../../../src/core/media/colour.ts'
import type { Ffmpeg, VideoEncoderName } from '../../../../src/ffmpeg/binary.ts'
import { encoderArgs, h264Level } from '../../../../src/ffmpeg/encoder/args.ts'

const ffmpeg = (videoEncoder: VideoEncoderName, major = 6): Ffmpeg => ({
  path: '/usr/bin/ffmpeg',
  version: { major, minor: 0, text: `${major}.0` },
  encoders: new Set([videoEncoder]),
  decodes: ['h264'],
  videoEncoder,
})
const shape = { format: 'yuv420p', width: 1280, height: 720, bitrateKbps: 2500, fps: 30 } as const

describe('the level', () => {
  it.each([
    [320, 240, 30, '1.3'],
    [640, 480, 30, '3.0'],
    [1280, 720, 30, '3.1'],
    [1280, 720, 60, '3.2'],
    [1920, 1080, 30, '4.0'],
    [1920, 1088, 60, '4.2'],
    [3840, 2160, 30, '5.1'],
    [3840, 2160, 60, '5.2'],
  ])('of %ix%i at %i frames per second is %s', (width, height, fps, level) => {
    expect(h264Level({ width, height, fps, bitrateKbps: 500 })).toBe(level)
  })
  it('rises with the bitrate', () => {
    expect(h264Level({ width: 320, height: 240, fps: 30, bitrateKbps: 2500 })).toBe('2.1')
  })
})

describe('the command line', () => {
  it.each(['libx264', 'h264_nvenc', 'h264_vaapi'] as const)(
    'of %s asks for no delay and its own bitrate options',
    (name) => {
      const { output } = encoderArgs(ffmpeg(name), shape)
      const text = output.join(' ')
      expect(text).toContain(`-c:v ${name}`)
      expect(text).toContain('-bf 0')
      expect(text).toContain('-b:v 2500k -maxrate 2500k')
      expect(text).toContain('dump_extra=freq=keyframe')
      expect(text).toMatch(/-profile:v (constrained_)?baseline/)
    },
  )
  it('of VP8 buffers no frame, and converts all colours to those of VP8', () => {
    const args = (colour: Partial<Colour>) =>
      encoderArgs(ffmpeg('h264_nvenc'), { ...shape, codec: 'vp8', colour: { ...DEFAULT_COLOUR, ...colour } })
    expect(args({}).output.join(' ')).toMatch(
      /-c:v libvpx .*-lag-in-frames 0 .*-b:v 2500k -minrate 2500k -maxrate 2500k/,
    )
    expect(args({}).filters).toEqual(['format=yuv420p'])
    expect(args({ matrix: 1 }).filters[0]).toBe(
      'scale=in_color_matrix=bt709:in_range=tv:out_color_matrix=bt601:out_range=tv',
    )
    expect(args({ fullRange: true }).filters[0]).toContain('in_range=pc:out_color_matrix=bt601:out_range=tv')
  })
  it('scales and converts in one pass, and sets the level of the output', () => {
    const scaledTo = { width: 640, height: 360 }
    const filters = (format: 'yuv420p' | 'rgb24', scaled: boolean) =>
      encoderArgs(ffmpeg('libx264'), { ...shape, format, ...(scaled && { scaledTo }) }).filters.join(',')
    expect(filters('yuv420p', false)).toBe('format=yuv420p')
    expect(filters('yuv420p', true)).toBe('scale=640:360:flags=bilinear,format=yuv420p')
    expect(filters('rgb24', false)).toBe('scale=out_color_matrix=bt601:out_range=tv,format=yuv420p')
    expect(filters('rgb24', true)).toBe(
      'scale=640:360:flags=bilinear:out_color_matrix=bt601:out_range=tv,format=yuv420p',
    )
    const { output } = encoderArgs(ffmpeg('libx264'), { ...shape, bitrateKbps: 800, scaledTo })
    expect(output.join(' ')).toContain('-level:v 3.0')
  })
  it('crops an odd row or column without scaling', () => {
    const odd = { ...shape, width: 321, height: 181, scaledTo: { width: 320, height: 180 } }
    expect(encoderArgs(ffmpeg('libx264'), odd).filters.join(',')).toBe('crop=320:180:0:0,format=yuv420p')
    expect(encoderArgs(ffmpeg('libx264'), { ...odd, format: 'gray' }).filters.join(',')).toBe(
      'crop=320:180:0:0,scale=out_color_matrix=bt601:out_range=tv,format=yuv420p',
    )
  })
  it('maps the old names of presets', () => {
    expect(encoderArgs(ffmpeg('h264_nvenc', 4), shape).output.join(' ')).toContain('-preset llhq')
    expect(encoderArgs(ffmpeg('h264_nvenc', 7), shape).output.join(' ')).toContain('-preset p4 -tune ull')
  })
})
