import { send } from '../api.js'

/**
 * The ICE servers that a WHIP or WHEP endpoint tells its clients. They are asked for before the offer, since candidates
 * of a TURN server must be in it.
 */
export async function askIceServers(path, { signal, quiet } = {}) {
  const answer = await send('OPTIONS', path, { signal, quiet })
  return iceServersOf(answer.headers.get('link'))
}

/** From `Link` headers as in RFC 9725 §4.6; what no browser would take is left out. */
export function iceServersOf(header) {
  return linksOf(header ?? '').flatMap(({ target, params }) => {
    const { rel = '', username, credential, 'credential-type': type = 'password' } = params
    if (!rel.toLowerCase().split(/\s+/).includes('ice-server')) return []
    if (/^stuns?:[^\s?]+$/i.test(target)) return [{ urls: target }]
    if (!/^turns?:[^\s?]+(\?transport=(udp|tcp))?$/i.test(target)) return []
    if (username === undefined || credential === undefined || type.toLowerCase() !== 'password') return []
    return [{ urls: target, username, credential }]
  })
}

/**
 * The links of a header (RFC 8288 §3), several of them separated by commas, which may also stand inside of `<…>` and
 * quotes. The first of several params of one name counts.
 * @returns {{ target: string, params: Record<string, string> }[]}
 */
export function linksOf(header) {
  const links = []
  const link = /[\s,]*<([^>]*)>/y
  const param = /\s*;\s*(?:([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?)?/y
  for (;;) {
    const found = link.exec(header)
    if (!found) return links
    const params = {}
    let at = link.lastIndex
    for (;;) {
      param.lastIndex = at
      const next = param.exec(header)
      if (!next) break
      at = param.lastIndex
      const [, name, quoted, plain = ''] = next
      if (name) params[name.toLowerCase()] ??= quoted?.replace(/\\(.)/g, '$1') ?? plain
    }
    links.push({ target: found[1].trim(), params })
    // Whatever else stands there is not understood; the next link is.
    const comma = header.indexOf(',', at)
    if (comma < 0) return links
    link.lastIndex = comma
  }
}
