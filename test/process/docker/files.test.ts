import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { onPath } from '../../helpers/binaries.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const settings = new Set(
  read('docs/settings.md')
    .match(/`[A-Z][A-Z_]+`/g)
    ?.map((name) => name.slice(1, -1)),
)
const UID = /--uid (\d+)/.exec(read('docker/system.sh'))?.[1]

/** Variables in these files that are no settings of the server. */
const OTHERS = ['NODE_ENV', 'HOME', 'NVIDIA_VISIBLE_DEVICES', 'NVIDIA_DRIVER_CAPABILITIES']

type Service = {
  profiles: string[]
  environment: Record<string, string>
  ports: string[]
  stop_grace_period: string
  volumes: string[]
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

  it('copies what there is, from images of a fixed version', () => {
    const stages = lines.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1])
    expect(stages.length).toBeGreaterThan(1)
    for (const image of stages) expect(image).toMatch(/^[\w/.-]+:\d[\w.-]*$/)
    const copies = lines.filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    for (const file of copies.flatMap((line) => line.split(' ').slice(1, -1)))
      expect(existsSync(join(ROOT, file))).toBe(true)
    for (const script of text.matchAll(/^RUN (?:\w+=\S+ )?(docker\/\S+)/gm)) {
      expect(existsSync(join(ROOT, script[1]!))).toBe(true)
    }
  })

  it('runs as a user of its own, with an init, a health check and what it needs to stop', () => {
    expect(last).toContain('USER millrace')
    expect(last.some((line) => line.startsWith('HEALTHCHECK '))).toBe(true)
    expect(last).toContain('ENTRYPOINT ["tini", "--", "/app/docker/entrypoint.sh"]')
    expect(last).toContain('STOPSIGNAL SIGTERM')
    expect(read('docker/system.sh')).toMatch(/install .*\btini\b/)
  })

  it('sets settings that exist, and exposes their ports', () => {
    const env = Object.fromEntries(
      [...text.matchAll(/^(?:ENV|\s+)\s*([A-Z_]+)=(\S+)/gm)].map(([, key, value]) => [key, value]),
    )
    const unknown = Object.keys(env).filter((name) => !settings.has(name) && !OTHERS.includes(name))
    expect(unknown).toEqual([])
    expect(text).toContain(`EXPOSE ${env.PORT}/tcp ${env.UDP_PORTS}/udp ${env.UDP_PORTS}/tcp`)
    expect(env.HOST).toBe('0.0.0.0')
  })
})

describe('compose.yaml', () => {
  const millraces = Object.entries(compose.services).filter(([, { build }]) => build !== undefined)
  const started = (profile: string) =>
    Object.entries(compose.services)
      .filter(([, { profiles }]) => profiles.includes(profile))
      .map(([name]) => name)

  it('starts one server, whatever the profile', () => {
    const standard = /^COMPOSE_PROFILES=(\w+)$/m.exec(read('.env'))?.[1]
    expect(standard).toBe('cpu')
    expect(started('cpu')).toEqual(['millrace'])
    expect(started('gpu')).toEqual(['millrace-gpu'])
    expect(started('monitoring')).toEqual(['millrace', 'prometheus', 'grafana'])
    expect(started('gpu-monitoring')).toEqual(['millrace-gpu', 'prometheus', 'grafana'])
  })

  it.each(millraces)('%s is closed to other machines and confined', (_, service) => {
    for (const port of service.ports) expect(port).toMatch(/^\$\{BIND:-127\.0\.0\.1\}:/)
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
    expect(existsSync(join(ROOT, service.build.dockerfile))).toBe(true)
    const unknown = Object.keys(service.environment).filter((name) => !settings.has(name) && !OTHERS.includes(name))
    expect(unknown).toEqual([])
    const range = service.environment.UDP_PORTS
    for (const kind of ['udp', 'tcp']) expect(service.ports.join()).toContain(`${range}:${range}/${kind}`)
    const drain = Number(/:-(\d+)/.exec(service.environment.DRAIN_SECONDS ?? '')?.[1])
    expect(Number.parseInt(service.stop_grace_period, 10)).toBeGreaterThan(drain + 15)
  })

  it('lets them write to the same folders, whoever owns what is mounted there', () => {
    for (const [, { tmpfs }] of millraces) expect(tmpfs).toEqual(['/tmp', '/data'])
    expect(read('docker/system.sh')).toMatch(/^install -d -m 1777 \/data$/m)
  })

  it('gives the GPU to the one that asks for it', () => {
    const devices = compose.services['millrace-gpu']?.deploy?.resources.reservations.devices
    expect(devices).toEqual([{ driver: 'nvidia', count: 'all', capabilities: ['gpu'] }])
    expect(compose.services.millrace?.deploy).toBeUndefined()
  })

  it('mounts files and volumes that exist', () => {
    const sources = Object.values(compose.services).flatMap(({ volumes }) => volumes.map((one) => one.split(':')[0]!))
    for (const source of sources) {
      if (source.startsWith('.')) expect(existsSync(join(ROOT, source)), source).toBe(true)
      else expect(Object.keys(compose.volumes)).toContain(source)
    }
  })

  // Neither is on every machine; the checks above stand in for them.
  const tool = composeTool()
  it.runIf(tool)('is accepted with every profile', () => {
    for (const profile of ['cpu', 'gpu', 'monitoring', 'gpu-monitoring']) {
      const [command = '', ...args] = [...(tool ?? []), '--profile', profile, 'config', '-q']
      const { status, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
      expect(status, `${profile}: ${stderr}`).toBe(0)
    }
  })
})

function composeTool(): string[] | undefined {
  if (onPath('docker') && spawnSync('docker', ['compose', 'version']).status === 0) return ['docker', 'compose']
  return onPath('docker-compose') ? ['docker-compose'] : undefined
}

describe('Kubernetes manifests', () => {
  const kustomization = parse(read('docker/kubernetes/base/kustomization.yaml')) as { resources: string[] }
  const objects = kustomization.resources.flatMap((file) =>
    parseAllDocuments(read(`docker/kubernetes/base/${file}`)).map((document) => document.toJS()),
  )
  const set = objects.find(({ kind }) => kind === 'StatefulSet')
  const pod = set.spec.template.spec
  const container = pod.containers[0]
  const env = Object.fromEntries(
    container.env.map(({ name, value }: { name: string; value?: string }) => [name, value]),
  )

  it('belong together', () => {
    const labels = set.spec.template.metadata.labels
    expect(labels).toMatchObject(set.spec.selector.matchLabels)
    const services = objects.filter(({ kind }) => kind === 'Service')
    for (const { spec } of services) expect(labels).toMatchObject(spec.selector)
    // A stream lives in one pod, so each has an address of its own.
    for (const { spec } of services) expect(spec.clusterIP).toBe('None')
    expect(services.map(({ metadata }) => metadata.name)).toContain(set.spec.serviceName)
    const mounts = container.volumeMounts.map(({ name }: { name: string }) => name)
    const volumes = [
      ...pod.volumes,
      ...set.spec.volumeClaimTemplates.map(({ metadata }: { metadata: object }) => metadata),
    ]
    for (const mount of mounts) expect(volumes.map(({ name }: { name: string }) => name)).toContain(mount)
  })

  it('fit WebRTC, draining and capacity', () => {
    expect(pod.hostNetwork).toBe(true)
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(Number(env.DRAIN_SECONDS) + 15)
    expect(container.readinessProbe.httpGet.path).toBe('/ready')
    expect(container.livenessProbe.httpGet.path).toBe('/health')
    expect(pod.securityContext.runAsUser).toBe(Number(UID))
    expect(Object.keys(env).filter((name) => !settings.has(name))).toEqual([])
  })

  it('the GPU variant changes what is there', () => {
    const { patches, resources } = parse(read('docker/kubernetes/gpu/kustomization.yaml'))
    expect(resources).toEqual(['../base'])
    expect(patches[0].target).toEqual({ kind: 'StatefulSet', name: set.metadata.name })
    for (const { op, path } of parse(patches[0].patch)) {
      expect(op).toBe('add')
      expect(path).toMatch(/^\/spec\/template\/spec\//)
    }
    expect(container.resources.limits).toBeDefined()
  })
})
