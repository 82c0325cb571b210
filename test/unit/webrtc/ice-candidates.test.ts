import { expect, test } from 'vitest'
import { hostCandidates } from '../../../src/webrtc/ice/agent.ts'

const HOSTS = [
  { address: '192.0.2.2', family: 'IPv4' },
  { address: 'fd00::2', family: 'IPv6' },
] as const

test('the public address is first, and UDP comes before TCP', () => {
  const candidates = hostCandidates('203.0.113.9', 50_000, HOSTS, true)
  expect(candidates.map((candidate) => candidate.split(' ').toSpliced(3, 1).join(' '))).toEqual([
    '1 1 udp 203.0.113.9 50000 typ host',
    '2 1 udp 192.0.2.2 50000 typ host',
    '3 1 udp fd00::2 50000 typ host',
    '4 1 tcp 203.0.113.9 50000 typ host tcptype passive',
    '5 1 tcp 192.0.2.2 50000 typ host tcptype passive',
    '6 1 tcp fd00::2 50000 typ host tcptype passive',
  ])
  const priorities = candidates.map((candidate) => Number(candidate.split(' ')[3]))
  expect(priorities).toEqual(priorities.toSorted((a, b) => b - a))
  expect(new Set(priorities).size).toBe(6)
})

test('each address is listed once', () => {
  expect(hostCandidates('192.0.2.2', 50_000, HOSTS, false)).toHaveLength(2)
  expect(hostCandidates(undefined, 50_000, HOSTS, false)).toHaveLength(2)
})
