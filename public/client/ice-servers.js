/** @import { Requests } from './requests.js' */

/**
 * Fetches the ICE servers that a WHIP or WHEP endpoint names. They are needed before the offer, which carries the
 * candidates of a TURN server.
 * @param {Requests} requests
 * @param {string} path
 * @param {{ background?: boolean }} options
 */
export async function askIceServers(requests, path, { background }) {
  const answer = await requests.send('OPTIONS', path, { background })
  return iceServersOf(answer.headers.get('link'))
}

/**
 * Reads `Link` headers as in RFC 9725 §4.6; entries that no browser accepts are left out.
 * @param {string | null} header
 * @returns {RTCIceServer[]}
 */
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
 * Parses the links of a header (RFC 8288 §3). Links are separated by commas, which may also occur inside `<…>` and
 * quotes. Of several params with the same name the first counts.
 * @param {string} header
 * @returns {{ target: string, params: Record<string, string> }[]}
 */
export function linksOf(header) {
  /** @type {{ target: string, params: Record<string, string> }[]} */
  const links = []
  const link = /[\s,]*<([^>]*)>/y
  const param = /\s*;\s*(?:([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?)?/y
  for (;;) {
    const found = link.exec(header)
    if (!found) return links
    /** @type {Record<string, string>} */
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
    links.push({ target: (found[1] ?? '').trim(), params })
    // Anything else is skipped up to the next link.
    const comma = header.indexOf(',', at)
    if (comma < 0) return links
    link.lastIndex = comma
  }
}
