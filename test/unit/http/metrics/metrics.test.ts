import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { REMOTE_FAMILIES } from '../../../../src/http/metrics/remote.ts'
import { RequestCounts } from '../../../../src/http/metrics/request-counts.ts'
import { SERVER_FAMILIES } from '../../../../src/http/metrics/server.ts'
import { STREAM_FAMILIES } from '../../../../src/http/metrics/streams.ts'
import type { StreamStatus } from '../../../../src/stream/status.ts'
import { statusSample } from '../status-sample.ts'

const families = [...STREAM_FAMILIES, ...REMOTE_FAMILIES, ...SERVER_FAMILIES]
const text = (path: string) => readFileSync(fileURLToPath(new URL(`../../../../${path}`, import.meta.url)), 'utf8')
const samples = (name: string, status: StreamStatus) => {
  const family = STREAM_FAMILIES.find((one) => one.name === `millrace_stream_${name}`)
  if (!family) throw new Error(`there is no ${name}`)
  return family.read([status]).map(({ labels, value }) => [labels.join(' '), value])
}

describe('metrics', () => {
  it.each(families.map((family) => [family.name, family] as const))(
    '%s follows the naming rules of Prometheus',
    (name, family) => {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
      expect(name.endsWith('_total')).toBe(family.type === 'counter')
      expect(name).not.toMatch(/_(ms|milliseconds|kbps|kb|fps)(_|$)/)
      expect(family.help).toMatch(/^[A-Z0-9].*\.$/)
      // `quantile` and `le` belong to summaries and histograms.
      for (const label of family.labels) expect(label).toMatch(/^(?!quantile$|le$)[a-z][a-z0-9_]*$/)
    },
  )

  it('have one family per name', () => {
    expect(new Set(families.map(({ name }) => name)).size).toBe(families.length)
  })

  it('match the status, in base units', () => {
    expect(samples('info', statusSample())).toEqual([['demo effects mpegts h264 aac', 1]])
    expect(samples('state', statusSample()).filter(([, value]) => value === 1)).toEqual([['demo ONLINE', 1]])
    expect(samples('ingest_bytes_per_second', statusSample())).toEqual([['demo', 312_500]])
    expect(samples('latency_seconds', statusSample())).toContainEqual(['demo total 95', 0.0112])
    expect(samples('dropped_frames_total', statusSample())).toEqual([
      ['demo before_pipeline', 1],
      ['demo pipeline', 3],
      ['demo after_pipeline', 2],
      ['demo viewers', 4],
    ])
    expect(samples('last_error_time_seconds', statusSample())).toEqual([])
    expect(samples('process_running', statusSample())).toContainEqual(['demo encoder', 1])
  })

  it('leave out what a stream without a publisher does not have', () => {
    const { ingest: _, ...status } = statusSample()
    const waiting = { ...status, params: null, pipeline: null } as StreamStatus
    for (const family of STREAM_FAMILIES) expect(() => family.read([waiting])).not.toThrow()
    expect(samples('ingest_frames_per_second', waiting)).toEqual([])
    expect(samples('params_revision', waiting)).toEqual([])
  })

  it.each(['docker/grafana/millrace.json', 'docker/prometheus/alerts.yaml'])('every metric %s uses exists', (path) => {
    const known = new Set(families.map(({ name }) => name))
    const asked = new Set(text(path).match(/\b(millrace|process|nodejs)_[a-z_]+\b/g))
    expect(asked.size).toBeGreaterThan(3)
    expect([...asked].filter((name) => !known.has(name))).toEqual([])
  })

  it('count no requests before there are any', () => {
    expect(new RequestCounts().samples()).toEqual([])
  })
})
