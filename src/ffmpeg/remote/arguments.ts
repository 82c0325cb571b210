import { AppError } from '../../core/errors.ts'
import { basicAuthorization, decoded } from '../../core/secrets.ts'
import type { MediaTarget } from '../../core/url-guard.ts'

/** ffmpeg's arguments for a media server: options, URL, and parts that must not be logged. */
export type RemoteArguments = { options: string[]; url: string; secrets: string[] }

/** Schemes by kind; whether ffmpeg reaches the server through a relay. */
export const REMOTE_SCHEMES = { rtsp: ['rtsp', 'rtsps'], rtmp: ['rtmp', 'rtmps'], srt: ['srt'] } as const
export type RemoteKind = keyof typeof REMOTE_SCHEMES
export const needsRelay = (kind: RemoteKind): boolean => kind !== 'srt'

/** The kind that a URL's scheme implies; HTTP carries more than one. */
export function typeOfUrl(url: string): RemoteKind | undefined {
  const scheme = URL.parse(url)?.protocol.slice(0, -1) ?? ''
  return (Object.keys(REMOTE_SCHEMES) as RemoteKind[]).find((kind) =>
    (REMOTE_SCHEMES[kind] as readonly string[]).includes(scheme),
  )
}

export type RtspTransport = 'tcp' | 'udp'

/** libsrt options permitted in a URL; others would make it listen, bind to addresses, or read files. */
const SRT_OPTIONS = [
  ...['streamid', 'passphrase', 'pbkeylen', 'enforced_encryption', 'latency', 'rcvlatency', 'peerlatency'],
  ...['connect_timeout', 'maxbw', 'inputbw', 'oheadbw', 'tlpktdrop', 'nakreport', 'lossmaxttl', 'payload_size'],
]

/**
 * `relay`: host and port used instead of the server's. @throws AppError `invalid-request` for a URL that is incomplete
 * or has unsupported options.
 */
export function remoteArguments(
  kind: RemoteKind,
  { url, address, port }: MediaTarget,
  relay: string,
  transport: RtspTransport = 'tcp',
): RemoteArguments {
  const secrets = secretsOf(url)
  const user = url.username ? `${url.username}:${url.password}@` : ''
  if (kind === 'rtsp') {
    const options = ['-rtsp_transport', transport, '-protocol_whitelist', transport === 'tcp' ? 'tcp' : 'tcp,udp,rtp']
    return { options, url: `rtsp://${user}${relay}${url.pathname}${url.search}`, secrets }
  }
  if (kind === 'rtmp') {
    const { app, playpath } = rtmpNames(url)
    const called = `${url.protocol}//${url.host}/${app}`
    const names = ['-rtmp_app', app, '-rtmp_playpath', playpath, '-rtmp_tcurl', called]
    return { options: [...names, '-protocol_whitelist', 'rtmp,tcp'], url: `rtmp://${user}${relay}/`, secrets }
  }
  checkSrt(url)
  const host = address.includes(':') ? `[${address}]` : address
  // Passed as options: not every ffmpeg decodes percent signs in the URL. `streamid` is also the name of another option
  // of ffmpeg.
  const values = [...url.searchParams].filter(([key]) => key !== 'mode')
  const options = values.flatMap(([key, value]) => [key === 'streamid' ? '-srt_streamid' : `-${key}`, value])
  return {
    options: [...options, '-mode', 'caller', '-protocol_whitelist', 'srt'],
    url: `srt://${host}:${port}`,
    secrets,
  }
}

/** `field` names the URL. @throws AppError `invalid-request` where `remoteArguments` would. */
export function checkRemoteUrl(kind: RemoteKind, url: URL, field: string): void {
  try {
    if (kind === 'rtmp') rtmpNames(url)
    if (kind === 'srt') checkSrt(url)
  } catch (thrown) {
    const { message } = AppError.from(thrown)
    throw new AppError('invalid-request', `${field}: ${message}`, { issues: [{ path: field.split('.'), message }] })
  }
}

/** `rtmp://host/app/name`; everything before the last slash is the app, as in programs that ask for a "stream key". */
function rtmpNames(url: URL): { app: string; playpath: string } {
  const [, app, name] = /^\/(.+)\/([^/]+)$/.exec(url.pathname) ?? []
  if (!app || !name) throw invalid('an RTMP URL names an app and a stream, as in rtmp://host/live/name')
  return { app, playpath: name + url.search }
}

function checkSrt({ searchParams }: URL): void {
  for (const [key, value] of searchParams) {
    if (key === 'mode' && value === 'caller') continue
    if (key === 'mode') throw invalid('an SRT URL has mode=caller: this server calls, and does not wait to be called')
    if (!SRT_OPTIONS.includes(key)) {
      throw invalid(`an SRT URL cannot have "${key.slice(0, 40)}"; accepted are ${SRT_OPTIONS.join(', ')}`)
    }
  }
}

/** The parts of a URL that grant access. */
function secretsOf(url: URL): string[] {
  const parts = [url.href, url.pathname + url.search, url.pathname, url.username, url.password]
  const folders = url.pathname.split('/')
  const last = folders.pop() ?? ''
  // Others are words such as `live`.
  parts.push(...folders.filter((folder) => folder.length > 7), basicAuthorization(url)?.split(' ').at(-1) ?? '')
  const all = [...parts, last, last + url.search, ...url.searchParams.values()].flatMap((part) => [part, decoded(part)])
  // A shorter one would match inside ordinary words.
  return [...new Set(all)].filter((part) => part.length > 3).sort((a, b) => b.length - a.length)
}

const invalid = (message: string) => new AppError('invalid-request', message)
