import type { HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import { expect, test } from 'vitest'
import { type Access, guardsFor, type Permit } from '../../../../src/http/guards/auth.ts'
import type { AuthQuestion } from '../../../../src/http/guards/auth-url.ts'
import { TrustedProxies } from '../../../../src/http/guards/proxies.ts'
import { serveApp } from '../app-server.ts'

const OPEN: Access = { authToken: undefined, viewToken: undefined, localOnly: false }

/** Whether a viewer of `demo` may control the stream after its request is done. */
async function permitOf(access: Partial<Access>, headers: Record<string, string> = {}): Promise<Permit> {
  let permit: Permit | undefined
  const { view, controlLater } = guardsFor({ ...OPEN, ...access }, new TrustedProxies([]))
  await using app = await serveApp((routes: Hono<{ Bindings: HttpBindings }>) => {
    routes.use(view)
    routes.post('/whep/:stream', async (c) => {
      permit = await controlLater(c)
      return c.body(null, 201)
    })
  })
  expect((await fetch(`${app.url}/whep/demo`, { method: 'POST', headers })).status).toBe(201)
  return permit!
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const unauthorized = { code: 'unauthorized' }

test('with AUTH_TOKEN, for its holder', async () => {
  const access = { authToken: 'secret' }
  await (await permitOf(access, bearer('secret')))()
  await expect((await permitOf(access))()).rejects.toMatchObject(unauthorized)
  await expect((await permitOf(access, bearer('other')))()).rejects.toMatchObject(unauthorized)
})

test('with VIEW_TOKEN too, but not for the holder of that', async () => {
  const access = { authToken: 'secret', viewToken: 'look' }
  await (await permitOf(access, bearer('secret')))()
  await expect((await permitOf(access, bearer('look')))()).rejects.toMatchObject(unauthorized)
})

test('without a token, for this machine but not for pages of another origin on it', async () => {
  const access = { localOnly: true }
  await (await permitOf(access))()
  const elsewhere = { origin: 'http://localhost:3000' }
  await expect((await permitOf(access, elsewhere))()).rejects.toMatchObject(unauthorized)
})

test('AUTH_URL is asked only on demand, as for a publisher', async () => {
  const asked: AuthQuestion[] = []
  const authUrl = {
    admits: async (question: AuthQuestion) => {
      asked.push(question)
      return question.action === 'view'
    },
  } as unknown as NonNullable<Access['authUrl']>
  const permit = await permitOf({ authUrl }, bearer('their-token'))
  expect(asked.map(({ action }) => action)).toEqual(['view'])
  await expect(permit()).rejects.toMatchObject(unauthorized)
  expect(asked[1]).toEqual({ action: 'publish', stream: 'demo', address: '127.0.0.1', token: 'their-token' })
})
