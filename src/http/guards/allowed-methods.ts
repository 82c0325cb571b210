import type { Hono } from 'hono'

/** The methods of an app's routes at a path, HEAD included with GET; empty if there is no route. */
export function allowedMethods(routes: Hono['routes']): (path: string) => string[] {
  const known = new Map<string, Set<string>>()
  for (const { method, path } of routes) {
    // Middleware handles all methods, and the page's files may be at any path.
    if (method === 'ALL' || path === '*' || path === '/*') continue
    known.set(path, (known.get(path) ?? new Set()).add(method))
  }
  const patterns = [...known].map(([path, methods]) => ({ pattern: patternOf(path), methods }))
  return (path) => {
    const found = new Set(patterns.flatMap(({ pattern, methods }) => (pattern.test(path) ? [...methods] : [])))
    if (found.has('GET')) found.add('HEAD')
    return [...found].sort()
  }
}

/** Translates Hono patterns such as `/out/:file{.+\\.ts}`. */
function patternOf(path: string): RegExp {
  const parts = path.split('/').map((part) => {
    const [, pattern = '[^/]+'] = /^:\w+(?:\{(.+)\})?\??$/.exec(part) ?? []
    if (part.startsWith(':')) return pattern
    return part === '*' ? '.*' : part.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('/')}$`)
}
