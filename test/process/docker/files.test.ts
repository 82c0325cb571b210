import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { SETTING_NAMES } from '../../../src/config.ts'
import { onPath } from '../../helpers/binaries.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const settings = new Set(SETTING_NAMES)

/** Variables in these files that are not settings of the server. */
const OTHERS = ['NODE_ENV', 'HOME', 'NVIDIA_VISIBLE_DEVICES', 'NVIDIA_DRIVER_CAPABILITIES']

type Service = {
  profiles?: string[]
  environment: Record<string, string>
  ports: string[]
  stop_grace_period: string
  volumes?: string[]
  build: { dockerfile: string }
  read_only: boolean
  tmpfs: string[]
  cap_drop: string[]
  deploy?: { resources: { reservations: { devices: { driver: string; capabilities: string[] }[] } } }
}
const compose = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, Service>; volumes: object }

describe('scripts', () => {
  it.each(readdirSync(join(ROOT, 'docker')).filter((name) => name.endsWith('.sh')))('%s can be read by sh', (name) => {
    const { status, stderr } = spawnSync('sh', ['-n', join(ROOT, 'docker', name)], { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
    expect(read(`docker/${name}`)).toMatch(/^set -eu$/m)
  })
})

describe.each(['docker/Dockerfile', 'docker/Dockerfile.gpu'])('%s', (path) => {
  const text = read(path)
  const lines = text.replace(/\\\n\s*/g, '').split('\n')
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')))

  it('copies existing files only, from base images with pinned versions', () => {
    const stages = lines.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1])
    expect(stages.length).toBeGreaterThan(1)
    for (const image of stages) expect(image).toMatch(/^[\w/.-]+:\d[\w.-]*(@sha256:[0-9a-f]{64})?$/)
    const copies = lines.filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    for (const file of copies.flatMap((line) => line.split(' ').slice(1, -1)))
      expect(existsSync(join(ROOT, file))).toBe(true)
    for (const script of text.matchAll(/^RUN (?:\w+=\S+ )?(docker\/\S+)/gm)) {
      expect(existsSync(join(ROOT, script[1]!))).toBe(true)
    }
  })

  it('runs as an unprivileged user, with an init, a health check and a stop signal', () => {
    expect(last).toContain('USER millrace')
    expect(last.some((line) => line.startsWith('HEALTHCHECK '))).toBe(true)
    expect(last).toContain('ENTRYPOINT ["tini", "--", "/app/docker/entrypoint.sh"]')
    expect(last).toContain('STOPSIGNAL SIGTERM')
    expect(read('docker/system.sh')).toMatch(/install .*\btini\b/)
  })

  it('sets existing settings only, and exposes their ports', () => {
    const env = Object.fromEntries(
      [...text.matchAll(/^(?:ENV|\s+)\s*([A-Z_]+)=(\S+)/gm)].map(([, key, value]) => [key, value]),
    )
    const unknown = Object.keys(env).filter((name) => !settings.has(name) && !OTHERS.includes(name))
    expect(unknown).toEqual([])
    expect(text).toContain(`EXPOSE ${env.PORT}/tcp ${env.UDP_PORT}/udp ${env.UDP_PORT}/tcp`)
    expect(env.HOST).toBe('0.0.0.0')
  })
})

describe('compose.yaml', () => {
  const millraces = Object.entries(compose.services).filter(([, { build }]) => build !== undefined)
  /** Services that `docker compose up` starts with a profile, or by name. */
  const started = (profile?: string, ...named: string[]) =>
    Object.entries(compose.services)
      .filter(([name, { profiles }]) =>
        named.length > 0 ? named.includes(name) : !profiles || (profile !== undefined && profiles.includes(profile)),
      )
      .map(([name]) => name)

  it('starts the server on the CPU without a profile, a setting or a file', () => {
    expect(started()).toEqual(['millrace'])
    expect(started('monitoring')).toEqual(['millrace', 'prometheus', 'grafana'])
    expect(read('compose.yaml')).not.toContain('COMPOSE_PROFILES')
  })

  it('reads every setting from the environment, all of them optional', () => {
    const required = [...read('compose.yaml').matchAll(/\$\{(\w+)(?!\w|:-)/g)].map(([, name]) => name)
    expect(required).toEqual([])
  })

  it('keeps settings in a file that git ignores, with a template that it does not', () => {
    const git = (...args: string[]) => spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' })
    expect(git('ls-files', '.env').stdout).toBe('')
    expect(git('check-ignore', '.env').status).toBe(0)
    expect(git('check-ignore', '.env.example').status).toBe(1)
    const form = [...read('.env.example').matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => ({ name, value }))
    const taken = [...read('compose.yaml').matchAll(/\$\{(\w+):-([^}]*)\}/g)].map(([, name]) => name)
    expect(form.map(({ name }) => name).filter((name) => !taken.includes(name))).toEqual([])
    expect(taken.filter((name) => name !== 'BIND' && !settings.has(name!))).toEqual([])
    expect(form.filter(({ name, value }) => /TOKEN|SECRET/.test(name!) && value)).toEqual([])
  })

  it.each(millraces)('%s is closed to other machines and confined', (_, service) => {
    for (const port of service.ports) expect(port).toMatch(/^\$\{BIND:-127\.0\.0\.1\}:/)
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
    expect(existsSync(join(ROOT, service.build.dockerfile))).toBe(true)
    const unknown = Object.keys(service.environment).filter((name) => !settings.has(name) && !OTHERS.includes(name))
    expect(unknown).toEqual([])
    const port = service.environment.UDP_PORT
    for (const kind of ['udp', 'tcp']) expect(service.ports.join()).toContain(`${port}:${port}/${kind}`)
    const drain = Number(/:-(\d+)/.exec(service.environment.DRAIN_SECONDS ?? '')?.[1])
    expect(Number.parseInt(service.stop_grace_period, 10)).toBeGreaterThan(drain + 15)
  })

  it('can write to /data and /tmp, whoever owns the mounted folders', () => {
    for (const [, { tmpfs }] of millraces) expect(tmpfs).toEqual(['/tmp', '/data'])
    expect(read('docker/system.sh')).toMatch(/^install -d -m 1777 \/data$/m)
  })

  it('gives the GPU to the one that asks for it', () => {
    const devices = compose.services['millrace-gpu']?.deploy?.resources.reservations.devices
    expect(devices).toEqual([{ driver: 'nvidia', count: 'all', capabilities: ['gpu'] }])
    expect(compose.services.millrace?.deploy).toBeUndefined()
  })

  it('mounts files and volumes that exist', () => {
    const sources = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.map((one) => one.split(':')[0]!),
    )
    for (const source of sources) {
      if (source.startsWith('.')) expect(existsSync(join(ROOT, source)), source).toBe(true)
      else expect(Object.keys(compose.volumes)).toContain(source)
    }
  })

  // Neither tool is on every machine; the checks above replace them.
  const tool = composeTool()
  it.runIf(tool)('is accepted with every profile, and with the form of the settings', () => {
    for (const flags of [
      [],
      ['--env-file', '.env.example'],
      ['--profile', 'gpu'],
      ['--profile', 'monitoring'],
      ['--profile', 'gateway'],
    ]) {
      const [command = '', ...args] = [...(tool ?? []), ...flags, 'config', '-q']
      const { status, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
      expect(status, `${flags.join(' ')}: ${stderr}`).toBe(0)
    }
  })
})

describe('the gateway', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mr-gateway-'))
  /** Configuration and environment MediaMTX would be started with. */
  const start = (env: Record<string, string>) => {
    const program = join(folder, 'mediamtx')
    writeFileSync(program, '#!/bin/sh\ncat "$1"\necho ---\nenv\n', { mode: 0o755 })
    const { PATH = '' } = process.env
    const run = spawnSync('sh', [join(ROOT, 'docker/gateway/start.sh')], {
      encoding: 'utf8',
      env: { PATH, TMPDIR: folder, MEDIAMTX: program, ...env },
    })
    expect(run.status, run.stderr).toBe(0)
    const [config = '', said = ''] = run.stdout.split('\n---\n')
    return { config: parse(config) as GatewayConfig, env: said }
  }
  type GatewayConfig = {
    authInternalUsers: { user: string; ips?: string[]; permissions: { action: string; path?: string }[] }[]
    paths: Record<string, { source?: string; runOnAvailable?: string }>
  } & Record<string, string>
  afterAll(() => rmSync(folder, { recursive: true }))

  const pathOf = (config: GatewayConfig, name: string) => {
    // The order in which MediaMTX checks them.
    const key = Object.keys(config.paths)
      .sort()
      .find((one) => new RegExp(one.slice(1)).test(name))
    const groups = new RegExp(key!.slice(1)).exec(name)
    return { ...config.paths[key!], groups }
  }

  it('hands publishers of any path over, and pulls what comes out', () => {
    const { config } = start({ MILLRACE: 'example:1234' })
    for (const name of ['cam', 'live/cam', 'a/b/cam']) {
      const { runOnAvailable, groups } = pathOf(config, name)
      expect([groups?.[2], runOnAvailable]).toEqual(['cam', expect.stringContaining('http://example:1234/ingest/$G2')])
    }
    const { source, groups } = pathOf(config, 'out/cam')
    expect([groups?.[1], source]).toEqual(['cam', 'whep://example:1234/whep/$G1'])
    expect(start({}).config.paths).toMatchObject({
      [Object.keys(config.paths).sort()[0]!]: { source: expect.stringContaining('millrace:8000') },
    })
  })

  it('asks publishers and viewers for the tokens that are set, and for no others', () => {
    const { config, env } = start({ AUTH_TOKEN: 'a b', VIEW_TOKEN: 'v' })
    const who = (action: string) =>
      config.authInternalUsers.findIndex(
        ({ ips, permissions }) => !ips && permissions.some((one) => one.action === action),
      )
    for (const [action, user, token] of [
      ['publish', 'millrace', 'a b'],
      ['read', 'viewer', 'v'],
    ] as const) {
      expect(env).toContain(`MTX_AUTHINTERNALUSERS_${who(action)}_USER=${user}\n`)
      expect(env).toContain(`MTX_AUTHINTERNALUSERS_${who(action)}_PASS=${token}\n`)
    }
    expect(env).toContain('MTX_PATHDEFAULTS_WHEPBEARERTOKEN=v\n')
    expect(start({}).env).not.toContain('MTX_')
    // Streams published here are read by the gateway only.
    const readers = config.authInternalUsers.filter(({ permissions }) =>
      permissions.some(({ action }) => action === 'read'),
    )
    expect(readers.map(({ ips, permissions }) => ips ?? permissions[0]?.path)).toEqual([['127.0.0.1', '::1'], '~^out/'])
  })

  it('has the ports that compose.yaml opens, to this machine unless told', () => {
    const { ports, image, volumes } = compose.services.gateway as Service & { image: string }
    const { config } = start({})
    const names = ['rtmpAddress', 'rtspAddress', 'srtAddress', 'hlsAddress', 'webrtcAddress', 'webrtcLocalUDPAddress']
    for (const port of names.map((name) => config[name])) expect(ports.join()).toContain(`${port}${port}/`)
    for (const port of ports) expect(port).toMatch(/^\$\{BIND:-127\.0\.0\.1\}:/)
    expect(image).toMatch(/:\d+\.\d+\.\d+-ffmpeg$/)
    expect(volumes).toEqual(['./docker/gateway:/gateway:ro'])
  })
})

function composeTool(): string[] | undefined {
  if (onPath('docker') && spawnSync('docker', ['compose', 'version']).status === 0) return ['docker', 'compose']
  return onPath('docker-compose') ? ['docker-compose'] : undefined
}
