import { h, svg } from '../dom.js'
import { copyLine } from '../live/copy-line.js'

/** Width of the white margin around the code, in modules (ISO/IEC 18004, §6.3.8). */
const QUIET = 4
const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/

/** A QR code of the page's address if a phone can reach it; otherwise what has to be set up first. */
export function phonePart(address) {
  const { hostname, protocol } = new URL(address)
  if (LOOPBACK.test(hostname)) {
    return h(
      'p',
      { class: 'muted small' },
      'This address works only on this machine. To open the page on a phone, start the server with ',
      h('code', {}, 'AUTH_TOKEN=a-long-secret'),
      ', which makes it listen on the network, and open this page by the machine’s name or address.',
    )
  }
  const code = h('div', { class: 'qr' })
  void draw(code, address)
  const secure = protocol === 'https:'
  return h(
    'div',
    { class: 'phone' },
    code,
    h(
      'p',
      { class: 'muted small' },
      secure
        ? 'Scan the code with the phone to watch there or to publish its camera.'
        : 'Scan the code with the phone to watch there. To publish its camera, the page must be served on https:// under a domain name; Caddy does that in two lines:',
    ),
    !secure && copyLine('Caddyfile', 'millrace.example.org\nreverse_proxy 127.0.0.1:8000'),
  )
}

/** The library is loaded on first use. */
async function draw(place, text) {
  try {
    const { generate } = await import(new URL('../vendor/lean-qr.js', import.meta.url).href)
    const code = generate(text)
    const side = code.size + 2 * QUIET
    let path = ''
    for (let y = 0; y < code.size; y++)
      for (let x = 0; x < code.size; x++) if (code.get(x, y)) path += `M${x + QUIET} ${y + QUIET}h1v1h-1z`
    place.append(
      svg(
        'svg',
        { viewBox: `0 0 ${side} ${side}`, role: 'img', 'aria-label': `QR code of ${text}` },
        svg('path', { d: path }),
      ),
    )
  } catch {
    place.remove()
  }
}
