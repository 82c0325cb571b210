import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { Child, TailBuffer } from '../../../src/core/child.ts'
import { ffmpegPath } from '../binaries.ts'

/** A free TCP port, which is usually free for UDP as well. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** `said`: its output and its end, for the message of a wait that failed. */
export type Receiver = Child & { said(): string }

/** A real ffmpeg as a server or anything else that runs until stopped. */
export async function startFfmpeg(args: string[], level = 'error'): Promise<Receiver> {
  const common = ['-hide_banner', '-loglevel', level, '-nostdin', '-y']
  const stdio = ['ignore', 'ignore', 'pipe'] as const
  const child = await Child.spawn({
    command: ffmpegPath(),
    args: [...common, ...args],
    stdio: [...stdio],
    graceMs: 1000,
  })
  const lines = new TailBuffer(20)
  child.process.stderr?.setEncoding('utf8').on('data', (chunk: string) => lines.push(chunk))
  const said = () => [...lines.lines, child.exit ? `exit ${JSON.stringify(child.exit)}` : 'runs'].join(' | ')
  return Object.assign(child, { said })
}

/** An ffmpeg that serves a clip, repeatedly in real time, to one client. */
export function serveClip(clip: string, output: string[]): Promise<Child> {
  return startFfmpeg(['-re', '-stream_loop', '-1', '-i', clip, '-c', 'copy', ...output])
}

/** An ffmpeg that waits for one client to send, and records it as MPEG-TS in a file. */
export function receive(input: string[], file: string): Promise<Receiver> {
  return startFfmpeg([...input, '-map', '0', '-c', 'copy', '-flush_packets', '1', '-f', 'mpegts', file], 'info')
}

/** Answers every request on a connection with this text. */
export async function answerAlways(answer: string): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (request) => {
      const sequence = /CSeq: *(\d+)/i.exec(String(request))?.[1] ?? '1'
      socket.write(answer.replaceAll('{CSeq}', sequence))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const RTSP_SERVER = fileURLToPath(new URL('../../fixtures/rtsp/server.py', import.meta.url))
/** Debian's Python, which has Debian's Python packages. */
const PYTHON = '/usr/bin/python3'

export type RtspServerOptions = {
  /** Default: a free one. */
  port?: number
  /** TLS only, with a password. */
  secure?: Certificate & { user: string; password: string }
}

/** GStreamer's RTSP server with a path per pipeline; undefined if it is not installed. */
export async function startRtspServer(
  paths: Record<string, string>,
  { port = 0, secure }: RtspServerOptions = {},
): Promise<(Child & { port: number }) | undefined> {
  const tls = secure ? ['--tls', secure.cert, secure.key, secure.user, secure.password] : []
  const args = [RTSP_SERVER, ...tls, String(port), ...Object.entries(paths).flat()]
  const child = await Child.spawn({ command: PYTHON, args, stdio: ['ignore', 'pipe', 'ignore'], graceMs: 1000 }).catch(
    () => undefined,
  )
  if (!child) return undefined
  const said = await Promise.race([once(child.process.stdout!, 'data'), child.closed])
  if (!Array.isArray(said)) return undefined
  return Object.assign(child, { port: Number(String(said[0])) })
}

/** Paths of PEM files. */
export type Certificate = { cert: string; key: string }

/** A self-signed certificate for a name, or an address such as `IP:127.0.0.1`. */
export function selfSigned(folder: string, name: string, subject: string): Certificate {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)]
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`]
  execFileSync('openssl', [...args, '-addext', `subjectAltName=${subject}`, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  return { cert, key }
}

/** A TLS proxy before a server without TLS, like nginx or stunnel. */
export async function tlsInFront(
  port: number,
  { cert, key }: Certificate,
): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>()
  const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (far) => {
    const near = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    far.pipe(near).pipe(far)
  }).listen(0, '127.0.0.1')
  server.on('tlsClientError', () => {})
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
