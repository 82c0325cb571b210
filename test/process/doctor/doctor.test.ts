import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { Child } from '../../../src/core/child.ts'
import { checkFfmpeg } from '../../../src/doctor/ffmpeg.ts'
import { type Finding, reportOf } from '../../../src/doctor/finding.ts'
import { checkGpu } from '../../../src/doctor/gpu.ts'
import {
  checkCandidates,
  checkHttpPort,
  checkNetworkBuffers,
  checkUdpPort,
  checkUdpPorts,
} from '../../../src/doctor/network.ts'
import { checkPipelines } from '../../../src/doctor/pipelines.ts'
import { checkModelDir, checkNode, checkSharedMemory } from '../../../src/doctor/runtime.ts'
import { openSharedPort } from '../../../src/webrtc/ice/port.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const log = pino({ level: 'silent' })

async function millrace(args: string[], env: Record<string, string> = {}) {
  const child = await Child.spawn({
    command: process.execPath,
    args: [join(ROOT, 'src/cli.ts'), ...args],
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, PORT: '0', UDP_PORTS: '51060-51080', ...env },
    cwd: ROOT,
  })
  let output = ''
  for (const stream of [child.process.stdout, child.process.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  }
  await child.closed
  return { output, code: child.exit?.code }
}

describe('millrace doctor', () => {
  it('finds nothing to fix on a machine where the tests run, and leaves nothing behind', async () => {
    const check = nothingLeft()
    const { output, code } = await millrace(['doctor', '--json'])
    const findings = JSON.parse(output) as Finding[]
    expect(findings.filter(({ state }) => state === 'missing')).toEqual([])
    expect(findings.map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(['Node', 'ffmpeg', 'Shared memory', 'GPU', 'Pipelines', 'HTTP port', 'WebRTC address']),
    )
    expect(code).toBe(0)
    await check()
  })

  it('reports missing Python in one line, and exits with 0 without any', async () => {
    const python = async (env: Record<string, string>) => {
      const { output, code } = await millrace(['doctor', '--json'], env)
      expect(code).toBe(0)
      return (JSON.parse(output) as Finding[]).filter(({ subject }) => subject === 'Python')
    }
    expect(await python({ PYTHON: '/nowhere/python' })).toEqual([
      expect.objectContaining({ state: 'warn', found: expect.stringContaining('/nowhere/python was not found') }),
    ])
    expect(await python({ PYTHON: 'false' })).toEqual([
      expect.objectContaining({ state: 'warn', found: expect.stringContaining('does not run') }),
    ])
    expect(await python({})).toEqual([
      expect.objectContaining({ state: 'ok', found: expect.stringMatching(/^3\.\d+\.\d+ at \//) }),
    ])
  })

  it('reports each problem in a line with its fix, and exits with 1', async () => {
    const { output, code } = await millrace(['doctor'], {
      FFMPEG_PATH: '/nowhere/ffmpeg',
      HOST: '0.0.0.0',
      PIPELINE: 'x',
    })
    expect(output).toMatch(/^✗ ffmpeg +FFMPEG_PATH is "\/nowhere\/ffmpeg".*\n +-> .*FFMPEG_PATH/m)
    expect(output).toMatch(/^✗ Pipelines +PIPELINE is "x".*effects/m)
    expect(output).toMatch(/^! Access .*\n +-> set AUTH_TOKEN$/m)
    expect(output.trimEnd()).toMatch(/2 to fix before the server can run; warnings: \d$/)
    expect(code).toBe(1)
  })

  it('names an invalid setting and exits with 2', async () => {
    const { output, code } = await millrace(['doctor'], { PORT: 'eighty' })
    expect(output).toMatch(/^millrace: PORT is "eighty": .*\n$/)
    expect(code).toBe(2)
  })
})

describe('checks of the doctor', () => {
  it('an outdated Node', () => {
    expect(checkNode('20.11.0')).toMatchObject({ state: 'missing', found: expect.stringContaining('24') })
    expect(checkNode('24.0.0')).toMatchObject({ state: 'ok' })
  })

  it('a port in use', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const taken = await checkHttpPort('127.0.0.1', port)
    expect(taken).toMatchObject({ state: 'missing', mend: expect.stringContaining('PORT') })
    await new Promise((resolve) => server.close(resolve))
    expect(await checkHttpPort('127.0.0.1', port)).toMatchObject({ state: 'ok' })
  })

  it('the WebRTC port: free, in use, and in use where another one would do', async () => {
    const port = (await openSharedPort(0))!
    expect(await checkUdpPort(port.port)).toMatchObject({ state: 'missing', mend: expect.stringContaining('UDP_PORT') })
    await port.close()
    expect(await checkUdpPort(port.port)).toMatchObject({ state: 'ok' })
    expect(await checkUdpPort(0)).toMatchObject({ state: 'ok' })
  })

  it('UDP ports, and the addresses packets arrive at', async () => {
    const check = nothingLeft()
    expect(await checkUdpPorts([51_060, 51_080])).toMatchObject({ state: 'ok', found: expect.stringContaining('21') })
    expect(await checkCandidates(undefined)).not.toMatchObject({ state: 'missing' })
    expect(await checkCandidates('203.0.113.5')).toMatchObject({ found: expect.stringContaining('PUBLIC_IP') })
    await check()
  })

  it('small network buffers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mr-doctor-'))
    const limits = (rmem: string, wmem: string) =>
      Promise.all([writeFile(join(folder, 'rmem_max'), rmem), writeFile(join(folder, 'wmem_max'), wmem)])
    try {
      expect(checkNetworkBuffers(folder)).toBeUndefined()
      await limits('4194304\n', '4194304\n')
      expect(checkNetworkBuffers(folder)).toMatchObject({ state: 'ok' })
      await limits('212992\n', '4194304\n')
      expect(checkNetworkBuffers(folder)).toMatchObject({
        state: 'warn',
        found: 'net.core.rmem_max is 212992, net.core.wmem_max is 4194304',
        mend: 'sysctl -w net.core.rmem_max=4194304',
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('shared memory and the model folder', () => {
    expect(checkSharedMemory()).toMatchObject({ state: 'ok' })
    expect(checkModelDir(join(tmpdir(), 'not', 'there', 'yet'))).toMatchObject({ state: 'ok' })
    expect(checkModelDir(join(ROOT, 'package.json', 'models'))).toMatchObject({ state: 'warn' })
  })

  it('rejected pipelines', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mr-doctor-'))
    try {
      await writeFile(join(folder, 'package.json'), '{}')
      const bad = { name: 'bad', version: '1.0.0', millrace: { pipelines: { bad: './nothing.js#Bad' } } }
      const pack = join(folder, 'pipelines', 'bad')
      await mkdir(pack, { recursive: true })
      await writeFile(join(pack, 'package.json'), JSON.stringify(bad))
      const where = { builtinDir: join(ROOT, 'pipelines'), pipelineDir: join(folder, 'pipelines') }
      const findings = await checkPipelines(where, 'noop')
      expect(findings[0]).toMatchObject({ state: 'ok', found: expect.stringContaining('noop') })
      expect(findings[1]).toMatchObject({ state: 'warn', found: expect.stringContaining('bad') })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('a GPU, by the output of its tool', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mr-doctor-'))
    const tool = async (name: string, script: string) => {
      const file = join(folder, name)
      await writeFile(file, `#!/bin/sh\n${script}\n`)
      await chmod(file, 0o755)
      return file
    }
    try {
      expect(await checkGpu(join(folder, 'absent'))).toMatchObject([{ state: 'ok' }])
      const found = await checkGpu(await tool('works', 'echo "NVIDIA L4, 23034 MiB, 550.54"'))
      expect(found[0]).toEqual({ subject: 'GPU', state: 'ok', found: 'NVIDIA L4, 23034 MiB, 550.54' })
      expect(found[1]).toMatchObject({ subject: 'ONNX on CUDA' })
      const broken = await checkGpu(await tool('broken', 'echo "no driver" >&2; exit 9'))
      expect(broken).toMatchObject([{ state: 'warn', found: expect.stringContaining('no driver') }])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('an encoder that does not work', async () => {
    const [finding] = await checkFfmpeg({ path: undefined, videoEncoder: 'h264_nvenc', log })
    expect(finding?.subject).toBe('ffmpeg')
    if (finding?.state !== 'ok') expect(finding?.found).toContain('h264_nvenc')
  })

  it('the report is formatted in columns', () => {
    const report = reportOf([
      { subject: 'Node', state: 'ok', found: '24.0.0' },
      { subject: 'HTTP port', state: 'missing', found: 'taken', mend: 'set PORT' },
    ])
    expect(report.split('\n')).toEqual([
      '✓ Node       24.0.0',
      '✗ HTTP port  taken',
      '             -> set PORT',
      '',
      '1 to fix before the server can run',
    ])
  })
})
