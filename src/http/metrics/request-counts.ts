import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { Sample } from './families.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Counts requests by route pattern and status. Never by path, because paths are unbounded. */
export class RequestCounts {
  readonly #counts = new Map<string, { labels: string[]; value: number }>()
  #inFlight = 0

  inFlight(): number {
    return this.#inFlight
  }

  samples(): Sample[] {
    return [...this.#counts.values()]
  }

  /** Runs before all routes. It observes the socket, because some routes answer there. */
  middleware(): MiddlewareHandler<{ Bindings: HttpBindings }> {
    return async (c, next) => {
      const { outgoing } = c.env
      this.#inFlight++
      outgoing.once('close', () => {
        this.#inFlight--
        // 499: the client left before there was a response.
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

/** The pattern of the route, or of the most specific middleware if no route matched. */
export function routeOf(c: Parameters<typeof matchedRoutes>[0]): string {
  const paths = matchedRoutes(c).map(({ path }) => path)
  const route = paths.find((path) => !path.includes('*')) ?? paths.sort((a, b) => b.length - a.length)[0] ?? 'none'
  // `/out/:file.ts` is more readable than `/out/:file{.+\.ts}`.
  return route.replace(/\{\.\+\\(\.\w+)\}/, '$1')
}
