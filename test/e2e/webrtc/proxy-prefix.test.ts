import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

/** Path of the program, installed by apt if possible; undefined where it is not available. */
function install(program: string, packageName: string): string | undefined {
  const places = ['/usr/sbin', '/usr/bin', '/usr/local/bin'].map((folder) => join(folder, program))
  const find = () => places.find((path) => existsSync(path))
  if (find()) return find()
  try {
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', packageName], { stdio: 'ignore' })
  } catch {
    console.log(`${program} is not there and apt cannot install it: what needs it is skipped`)
  }
  return find()
}

const PROXIES = {
  nginx: {
    program: install('nginx', 'nginx-light'),
    args: (file: string, folder: string) => ['-c', file, '-p', folder, '-e', join(folder, 'error.log')],
    config: (port: number, upstream: string, folder: string) => `
      daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 1;
      events {}
      http {
        access_log off;
        client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
        uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
        server {
          listen 127.0.0.1:${port};
          location /video/ { proxy_pass ${upstream}/; proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host $http_host; }
        }
      }`,
  },
  Caddy: {
    program: install('caddy', 'caddy'),
    args: (file: string) => ['run', '--adapter', 'caddyfile', '--config', file],
    config: (port: number, upstream: string) => `
      {
        admin off
        auto_https off
      }
      http://127.0.0.1:${port} {
        handle_path /video/* {
          reverse_proxy ${upstream.replace('http://', '')}
        }
      }`,
  },
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

let server: TestServer
let browser: Browser
beforeAll(async () => {
  server = await startServer({ env: SMALL_FRAMES })
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

describe.each(Object.entries(PROXIES))('behind %s, which strips a prefix', (name, { program, args, config }) => {
  const proxied = async (look: (url: string) => Promise<void>): Promise<void> => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-proxy-'))
    const port = await freePort()
    const file = join(folder, 'config')
    await writeFile(file, config(port, server.url, folder))
    const child = spawn(program!, args(file, folder), { stdio: 'ignore', env: { ...process.env, HOME: folder } })
    try {
      const url = `http://127.0.0.1:${port}/video/`
      const answers = () => fetch(`${url}health`).then(({ ok }) => ok)
      await waitFor(name, () => answers().catch(() => false))
      await look(url)
    } finally {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      if (child.exitCode === null) await ended
      await rm(folder, { recursive: true, force: true })
    }
  }

  test.skipIf(!program)('sessions are found by PATCH and DELETE, and nothing outside the prefix is reachable', () =>
    proxied(async (url) => {
      const page = await browser.newPage()
      const requests: string[] = []
      page.on('request', (request) => requests.push(request.url()))
      await page.goto(url)
      for (const kind of ['whip', 'whep']) {
        const statuses = await page.evaluate<number[]>(`(async () => {
          const peer = new RTCPeerConnection()
          const direction = '${kind}' === 'whip' ? 'sendonly' : 'recvonly'
          peer.addTransceiver('video', { direction })
          await peer.setLocalDescription()
          const body = peer.localDescription.sdp
          const headers = { 'content-type': 'application/sdp' }
          const answer = await fetch('${kind}/behind-${name}-${kind}?x=1', { method: 'POST', headers, body })
          const session = new URL(answer.headers.get('location'), answer.url).href
          const etag = answer.headers.get('etag')
          const fragment = ['a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuvwx', ''].join('\\r\\n')
          const type = 'application/trickle-ice-sdpfrag'
          const patch = await fetch(session, { method: 'PATCH', headers: { 'content-type': type, 'if-match': etag }, body: fragment })
          const options = await fetch(session, { method: 'OPTIONS' })
          const end = await fetch(session, { method: 'DELETE' })
          peer.close()
          return [answer.status, patch.status, options.status, end.status]
        })()`)
        expect(statuses, kind).toEqual([201, 200, 204, 200])
      }
      // Requests from the API page pass the prefix too.
      await page.goto(`${url}docs`)
      const described = (await (await fetch(`${url}openapi.json`)).json()) as { servers: { url: string }[] }
      for (const one of described.servers) expect(new URL(one.url, `${url}openapi.json`).href).toBe(url)
      expect(requests.length).toBeGreaterThan(10)
      expect(requests.filter((request) => !request.startsWith(url))).toEqual([])
      await page.close()
    }),
  )

  test.skipIf(!program)('a URL of a moved resource stays behind the prefix', () =>
    proxied(async (url) => {
      const answer = await fetch(`${url}test-picture/moved-${name}?x=1`, { method: 'POST', redirect: 'manual' })
      expect(answer.status).toBe(308)
      const to = new URL(answer.headers.get('location')!, `${url}test-picture/moved-${name}`).href
      expect(to).toBe(`${url}test-pattern/moved-${name}?x=1`)
    }),
  )
})
