import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import { openTrickle } from '../../../src/trickle/server/server.ts'
import { silent } from '../../unit/trickle/harness.ts'

// Contract §1.10, TLSDefaultValidatesCertificates and InsecureSkipVerifyAllowsSelfSigned.

/** A trickle server with a self-signed certificate. */
async function serveTls(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const trickle = openTrickle({ autocreate: true }, { log: silent })
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) =>
    trickle.handle(request, response, request.url ?? '/'),
  )
  rmSync(folder, { recursive: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    await trickle.close()
    server.closeAllConnections()
    server.close()
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/one`
}

test('certificates are verified unless verification is turned off', async () => {
  const url = await serveTls()
  const context = { log: silent }
  const mime = 'a/b'
  await expect(openTricklePublisher({ url, mime }, context)).rejects.toThrow('DEPTH_ZERO_SELF_SIGNED_CERT')
  await expect(openTrickleSubscriber({ url }, context)).rejects.toThrow('DEPTH_ZERO_SELF_SIGNED_CERT')
  const rejectUnauthorized = false
  const publisher = await openTricklePublisher({ url, mime, create: true, rejectUnauthorized }, context)
  const subscriber = await openTrickleSubscriber({ url, start: -2, rejectUnauthorized }, context)
  const writer = publisher.open()
  writer.write(Buffer.from('sealed'))
  writer.close()
  expect(await writer.stored).toBe(true)
  for await (const { bytes } of subscriber) {
    for await (const chunk of bytes) expect(Buffer.from(chunk).toString()).toBe('sealed')
    break
  }
  await publisher.close()
})
