import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { Sample } from './families.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** How many requests ended with which status, by route pattern: never by path, of which there is no end. */
export class RequestCounts {
  readonly #counts = new Map<string, { labels: string[]; value: number }>()
  #inFlight = 0

  inFlight(): number {
    return this.#inFlight
  }

  samples(): Sample[] {
    return [...this.#counts.values()]
  }

  /** Stands before all routes. It looks at the socket, since some of them answer there. */
  middleware(): MiddlewareHandler<{ Bindings: HttpBindings }> {
    return async (c, next) => {
      const { outgoing } = c.env
      this.#inFlight++
      outgoing.once('close', () => {
        this.#inFlight--
        // 499: the client left before there was an answer.
        const status = outgoing.headersSent ? outgoing.statusCode : 499
        this.#count(c.req.method, routeOf(c), status)
      })
      await next()
    }
  }

  #count(method: string, route: string, status: number): void {
    const labels = [METHODS.has(method) ? method : 'other', route, String(status)]
    const key = labels.join(' ')
    const known = this.#counts.get(key)
    if (known) known.value++
    else this.#counts.set(key, { labels, value: 1 })
  }
}

/** The pattern of the route, or of the narrowest middleware where no route took the request. */
function routeOf(c: Parameters<typeof matchedRoutes>[0]): string {
  const paths = matchedRoutes(c).map(({ path }) => path)
  const route = paths.find((path) => !path.includes('*')) ?? paths.sort((a, b) => b.length - a.length)[0] ?? 'none'
  // `/out/:file{.+\.ts}` reads better as `/out/:file.ts`.
  return route.replace(/\{\.\+\\(\.\w+)\}/, '$1')
}
