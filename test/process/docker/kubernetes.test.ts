import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { SETTING_NAMES } from '../../../src/config.ts'
import { onPath } from '../../helpers/binaries.ts'
import { keptFolder, makeOnce } from '../../helpers/package/kept.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** Provides the schemas of the Kubernetes 1.37 API. */
const VALIDATOR = 'kubernetes-validate==1.37.0'
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const run = promisify(execFile)

type Operation = { op: string; path: string; value: unknown }
type Kustomization = { resources?: string[]; patches?: { target: { kind: string; name: string }; patch: string }[] }
// biome-ignore lint/suspicious/noExplicitAny: any object of Kubernetes
type Manifest = Record<string, any>

/** The objects of `docker/kubernetes/base`, patched as the named overlay folders say. */
function built(...folders: string[]): Manifest[] {
  const of = (folder: string): Kustomization => parse(read(`docker/kubernetes/${folder}/kustomization.yaml`))
  const objects = ['base', ...folders].flatMap((folder) =>
    (of(folder).resources ?? [])
      .filter((file) => file.endsWith('.yaml'))
      .flatMap((file) =>
        parseAllDocuments(read(`docker/kubernetes/${folder}/${file}`)).map((document) => document.toJS() as Manifest),
      ),
  )
  for (const { target, patch } of folders.flatMap((folder) => of(folder).patches ?? [])) {
    const object = objects.find(({ kind, metadata }) => kind === target.kind && metadata.name === target.name)
    expect(object, `${target.kind} ${target.name}`).toBeDefined()
    for (const operation of parse(patch) as Operation[]) apply(object!, operation)
  }
  return objects
}

/** The subset of RFC 6902 these files use. */
function apply(object: Manifest, { op, path, value }: Operation): void {
  const names = path.slice(1).split('/')
  const last = names.pop()!.replaceAll('~1', '/')
  const parent = names.reduce((at: Manifest, name) => at[name], object)
  expect(parent, path).toBeDefined()
  if (op === 'remove') {
    expect(last in parent, `remove ${path}`).toBe(true)
    delete parent[last]
    return
  }
  if (op === 'add' && Array.isArray(parent)) {
    expect(last).toBe('-')
    parent.push(value)
    return
  }
  expect(op === 'add' || (op === 'replace' && last in parent), `${op} ${path}`).toBe(true)
  parent[last] = value
}

const objects = built()
const deployment = objects.find(({ kind }) => kind === 'Deployment')!
const pod = deployment.spec.template.spec
const container = pod.containers[0]
const env = Object.fromEntries(container.env.map(({ name, value }: { name: string; value?: string }) => [name, value]))

describe('Kubernetes manifests', () => {
  it('are consistent', () => {
    const labels = deployment.spec.template.metadata.labels
    expect(labels).toMatchObject(deployment.spec.selector.matchLabels)
    for (const { kind, spec } of objects) {
      if (kind === 'Service') expect(labels).toMatchObject(spec.selector)
      // A stream lives in one pod, so each pod has its own address.
      if (kind === 'Service') expect(spec.clusterIP).toBe('None')
      if (kind === 'PodDisruptionBudget') expect(labels).toMatchObject(spec.selector.matchLabels)
    }
    const volumes = pod.volumes.map(({ name }: { name: string }) => name)
    for (const { name } of container.volumeMounts) expect(volumes).toContain(name)
  })

  it('fit WebRTC, draining and capacity', () => {
    expect(pod.hostNetwork).toBe(true)
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(Number(env.DRAIN_SECONDS) + 15)
    expect(container.readinessProbe.httpGet.path).toBe('/ready')
    expect(container.livenessProbe.httpGet.path).toBe('/health')
    expect(pod.securityContext.runAsUser).toBe(Number(/--uid (\d+)/.exec(read('docker/system.sh'))?.[1]))
    expect(Object.keys(env).filter((name) => !(SETTING_NAMES as readonly string[]).includes(name))).toEqual([])
  })

  it('replace a pod within half a minute of the death of its node, and drain many nodes in parallel', () => {
    const gone = (key: string) => pod.tolerations.find((one: Manifest) => one.key === `node.kubernetes.io/${key}`)
    for (const key of ['not-ready', 'unreachable']) {
      expect(gone(key).effect).toBe('NoExecute')
      expect(gone(key).tolerationSeconds).toBeLessThanOrEqual(30)
      expect(gone(key).tolerationSeconds).toBeGreaterThanOrEqual(10)
    }
    // On the host network, a second pod on the node finds its ports in use.
    expect(deployment.spec.strategy.rollingUpdate.maxSurge).toBe(0)
    expect(objects.find(({ kind }) => kind === 'PodDisruptionBudget')!.spec.maxUnavailable).toMatch(/%$/)
    // A claim per pod would tie it to a node, and a thousand of them are never all bound.
    expect(JSON.stringify(objects)).not.toContain('volumeClaimTemplates')
    const shared = built('model-volume').find(({ kind }) => kind === 'Deployment')!.spec.template.spec.volumes
    expect(shared).toContainEqual({
      name: 'models',
      persistentVolumeClaim: { claimName: 'millrace-models', readOnly: true },
    })
  })

  it('request a GPU, and tolerate the taints of GPU nodes', () => {
    const { spec } = built('gpu').find(({ kind }) => kind === 'Deployment')!.spec.template
    expect(spec.containers[0].resources.limits).toMatchObject({ 'nvidia.com/gpu': 1, memory: '4Gi' })
    expect(spec.tolerations).toContainEqual({ key: 'nvidia.com/gpu', operator: 'Exists' })
    expect(spec.tolerations.length).toBe(pod.tolerations.length + 1)
  })

  it('let pods share a node where LiveKit carries the media, and hand over their streams', () => {
    const all = built('gpu', 'livekit')
    const named = (kind: string, name: string) => all.find((one) => one.kind === kind && one.metadata.name === name)!
    const { spec } = named('Deployment', 'millrace').spec.template
    expect([spec.hostNetwork, spec.dnsPolicy]).toEqual([false, 'ClusterFirst'])
    const [server] = spec.containers
    const settings = Object.fromEntries(server.env.map(({ name, value }: Manifest) => [name, value]))
    // A hostPort would be requested by all pods of the node.
    expect(server.ports.filter(({ hostPort }: Manifest) => hostPort)).toEqual([])
    expect(settings).toMatchObject({ UDP_PORT: '0' })
    expect(settings.PUBLIC_IP).toBeUndefined()
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(Number(settings.DRAIN_SECONDS) + 15)
    expect(server.resources.limits['nvidia.com/gpu']).toBe(1)
    expect(server.readinessProbe.httpGet.path).toBe('/ready')
    const secrets = ({ envFrom }: Manifest) => envFrom.map(({ secretRef }: Manifest) => secretRef.name)
    expect(secrets(server)).toEqual(['millrace-tokens', 'millrace-livekit'])

    const dispatch = named('Deployment', 'millrace-dispatch')
    const [dispatcher] = dispatch.spec.template.spec.containers
    expect(dispatch.spec.replicas).toBeGreaterThanOrEqual(2)
    expect(secrets(dispatcher)).toEqual(secrets(server))
    expect(dispatcher.args).toEqual(['dispatch'])
    // The name that resolves to all pods: the streams of a full one must be known too.
    const [name, port] = dispatcher.env.find(({ name }: Manifest) => name === 'MILLRACE_SERVERS').value.split(':')
    expect(named('Service', name).spec).toMatchObject({
      publishNotReadyAddresses: true,
      ports: [{ port: Number(port) }],
    })
    for (const { name } of dispatcher.env) expect(SETTING_NAMES).toContain(name)
    const labels = dispatch.spec.template.metadata.labels
    expect(labels).toMatchObject(dispatch.spec.selector.matchLabels)
    expect(labels).toMatchObject(named('Service', 'millrace-dispatch').spec.selector)
    expect(labels).toMatchObject(named('PodDisruptionBudget', 'millrace-dispatch').spec.selector.matchLabels)
    expect(labels).not.toMatchObject(named('Service', 'millrace').spec.selector)
  })

  it('scale by streams, with spare capacity', () => {
    const all = built('livekit', 'autoscale')
    const { spec } = all.find(({ kind }) => kind === 'HorizontalPodAutoscaler')!
    const { kind, name } = spec.scaleTargetRef
    const { spec: deployed } = all.find((one) => one.kind === kind && one.metadata.name === name)!
    expect(deployed.replicas).toBeUndefined()
    const places = deployed.template.spec.containers[0].env.find(({ name }: Manifest) => name === 'MAX_STREAMS').value
    expect(Number(spec.metrics[0].external.target.averageValue)).toBeLessThan(Number(places))
    expect(spec.minReplicas).toBeGreaterThanOrEqual(2)
  })

  it.runIf(onPath('python3'))(
    'validate against the schemas of the API server, without unknown fields',
    async () => {
      const validator = join(keptFolder('millrace-test-kubernetes'), VALIDATOR)
      await makeOnce(validator, async (part) => {
        const args = ['-m', 'pip', 'install', '--quiet', '--target', part, VALIDATOR]
        await run('python3', args, { timeout: 200_000 })
      })
      const folder = mkdtempSync(join(tmpdir(), 'mr-kubernetes-'))
      try {
        const validate = async (all: Manifest[]) => {
          const file = join(folder, 'all.yaml')
          writeFileSync(file, all.map((object) => stringify(object)).join('---\n'))
          const env = { ...process.env, PYTHONPATH: validator }
          return await run('python3', ['-m', 'kubernetes_validate', '--strict', file], { env, timeout: 60_000 })
        }
        const kinds = [[], ['model-volume'], ['gpu'], ['gpu', 'model-volume']]
        const beside = [['livekit'], ['gpu', 'livekit', 'autoscale']]
        for (const folders of [...kinds, ...beside]) await validate(built(...folders))
        const wrong = built().map((object) => (object.kind === 'Deployment' ? { ...object, surprise: 1 } : object))
        await expect(validate(wrong)).rejects.toThrow()
        expect(existsSync(validator)).toBe(true)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    240_000,
  )
})
