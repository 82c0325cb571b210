import { describe, expect, it, test } from 'vitest'
import { Gpus, parseGpus } from '../../../src/livepeer/gpus.ts'
import { readChannels, readHeartbeatReply } from '../../../src/livepeer/orchestrator/heartbeat.ts'
import { healthOf } from '../../../src/livepeer/service-routes.ts'

describe('health', () => {
  it.each<[string[], boolean, string]>([
    [[], true, 'IDLE'],
    [['ONLINE'], true, 'IDLE'],
    [['LOADING'], true, 'IDLE'],
    [['ERROR'], true, 'IDLE'],
    [['LOADING'], false, 'LOADING'],
    [['ERROR'], false, 'ERROR'],
    [['ONLINE'], false, 'OK'],
    [['OFFLINE'], false, 'OK'],
    [['DEGRADED_INPUT'], false, 'OK'],
    [['DEGRADED_INFERENCE'], false, 'OK'],
    [['ERROR', 'ONLINE'], false, 'OK'],
    [['LOADING', 'ERROR'], false, 'OK'],
    [['LOADING', 'LOADING'], false, 'LOADING'],
    [['ERROR', 'ERROR'], false, 'ERROR'],
    // A server that is shutting down accepts nothing, but is not in error.
    [[], false, 'OK'],
  ])('of %j with room %s is %s', (states, room, expected) => {
    expect(healthOf(states, room)).toBe(expected)
  })
})

describe('GPUs', () => {
  test('are parsed from the output of nvidia-smi', () => {
    const csv = [
      '0, GPU-11111111-2222-3333-4444-555555555555, NVIDIA GeForce RTX 4090, 24564, 23028, 8.9, 17, 3',
      '1, GPU-66666666-7777-8888-9999-000000000000, Tesla K80, 11441, 11380, 3.7, [N/A], [Not Supported]',
      '',
    ].join('\n')
    expect(parseGpus(csv)).toEqual([
      {
        index: '0',
        id: 'GPU-11111111-2222-3333-4444-555555555555',
        name: 'NVIDIA GeForce RTX 4090',
        memoryTotal: 24_564 * 2 ** 20,
        memoryFree: 23_028 * 2 ** 20,
        major: 8,
        minor: 9,
        utilizationCompute: 17,
        utilizationMemory: 3,
      },
      expect.objectContaining({ index: '1', major: 3, minor: 7, utilizationCompute: 0, utilizationMemory: 0 }),
    ])
    expect(parseGpus('No devices were found\n')).toEqual([])
  })

  test('are none where the tool is missing, fails, or prints nothing', async () => {
    for (const command of ['no-such-tool-anywhere', 'false', 'true']) expect(await new Gpus(command).list()).toEqual([])
  })
})

describe('responses of an orchestrator', () => {
  it.each([
    ['5s', 5000],
    ['300ms', 300],
    ['1m30s', 90_000],
    ['1.5s', 1500],
  ])('an interval of %s', (heartbeat_interval, ms) => {
    const reply = readHeartbeatReply(JSON.stringify({ runner_id: 'r', heartbeat_interval }))
    expect(reply).toEqual({ runner_id: 'r', heartbeat_interval: ms })
  })

  it.each([
    ['no JSON', 'nope'],
    ['no runner', '{}'],
    ['an empty runner', '{"runner_id":""}'],
    ['an interval that is none', '{"runner_id":"r","heartbeat_interval":"soon"}'],
    ['an interval with a rest', '{"runner_id":"r","heartbeat_interval":"5s!"}'],
  ])('are invalid with %s', (_, text) => {
    expect(() => readHeartbeatReply(text)).toThrow(/the orchestrator's response is not valid/)
  })

  it('channels', () => {
    const channel = { name: 'in', channel_name: 's-in', url: 'https://o/s-in', mime_type: 'video/MP2T' }
    expect(readChannels(JSON.stringify({ channels: [channel] }))).toEqual([{ name: 'in', url: 'https://o/s-in' }])
    expect(() => readChannels('{"channels":{}}')).toThrow(/response is not valid/)
  })
})
