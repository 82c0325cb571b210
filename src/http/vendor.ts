import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Hono } from 'hono'

/** Browser modules of npm packages that the page uses, by the name in their URL. */
const MODULES: Record<string, { package: string; file: string }> = {
  'lean-qr.js': { package: 'lean-qr', file: 'index.mjs' },
}

const { resolve } = createRequire(import.meta.url)

/** `GET /vendor/{module}`: the page's libraries, served from `node_modules`. */
export function vendorRoutes(): Hono {
  const app = new Hono()
  for (const [name, found] of Object.entries(MODULES)) {
    app.get(`/vendor/${name}`, async (c) => {
      const path = join(dirname(resolve(found.package)), found.file)
      return c.body(await readFile(path, 'utf8'), 200, {
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'max-age=3600',
      })
    })
  }
  return app
}
