import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test.each(['{"strength": 7}', '{"width": 128}', '{"effect": "nonsense"}'])(
  'PIPELINE_PARAMS %s, which the schema refuses, fails the start with one line',
  (params) => {
    const env = { ...process.env, PORT: '0', PIPELINE: 'effects', PIPELINE_PARAMS: params, WARM_PIPELINES: '1' }
    const { status, stderr } = spawnSync('node', ['src/cli.ts', 'serve'], {
      cwd: root,
      env,
      timeout: 60_000,
      encoding: 'utf8',
    })
    expect(status).toBe(2)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain('PIPELINE_PARAMS')
    expect(stderr).toContain(
      Object.keys(JSON.parse(params))[0] === 'width' ? 'height' : Object.keys(JSON.parse(params))[0]!,
    )
  },
)
