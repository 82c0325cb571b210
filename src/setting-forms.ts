/** Parsers of setting values; each refuses with a sentence that says what is accepted. */
import { z } from 'zod'
import { parseExactJson } from './codec/json.ts'
import { AppError } from './core/errors.ts'
import { originOf } from './core/url-guard.ts'
import { TrustedProxies } from './http/guards/proxies.ts'

export const text = z.string().trim().min(1)
export const whole = (min: number, max: number) =>
  z
    .string()
    .trim()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`)

export const json = (what: string) =>
  z.string().transform((value, context) => {
    try {
      return parseExactJson(value, 'it')
    } catch (thrown) {
      const why = thrown instanceof AppError && thrown.issues ? `; ${thrown.message}` : ''
      context.addIssue({ code: 'custom', message: `must be ${what}${why}` })
      return z.NEVER
    }
  })

export const portRange = z.string().transform((value, context) => {
  const match = /^(\d+)-(\d+)$/.exec(value.trim())
  const [min, max] = [Number(match?.[1]), Number(match?.[2])]
  if (!match || min < 1 || max > 65_535 || min > max) {
    context.addIssue({ code: 'custom', message: 'must be two ports with a dash between, such as 50000-50200' })
    return z.NEVER
  }
  return [min, max] as [number, number]
})

export const iceServers = json('a JSON list of { urls, username?, credential? }').pipe(
  z.array(
    z.object({
      urls: z.union([text, z.array(text)]),
      username: z.string().optional(),
      credential: z.string().optional(),
    }),
  ),
)

export const list = text.transform((value) =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

export const origins = list.transform((values, context) =>
  values.map((value) => {
    const url = URL.parse(value)
    const isKnown = url?.hostname && /^(https?|rtsps?|rtmps?|srt):$/.test(url.protocol)
    if (url && isKnown && /^\/?$/.test(url.pathname) && !url.search && !url.username) return originOf(url)
    context.addIssue({
      code: 'custom',
      message: 'must be origins with commas between, such as http://10.0.0.5:8935 or rtsp://10.0.0.7:554',
    })
    return z.NEVER
  }),
)

export const cidrs = list.transform((values, context) => {
  try {
    new TrustedProxies(values)
    return values
  } catch {
    const message = 'must be addresses or CIDRs with commas between, such as 127.0.0.1,10.0.0.0/8'
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
})

export const webUrl = text
  .refine(
    (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
    'must be a URL that begins with http:// or https://',
  )
  .transform((value) => value.replace(/\/+$/, ''))

/** LiveKit's address for clients and API: one, or one per node. */
export const liveKitUrls = list.transform((values, context) =>
  values.map((value) => {
    const url = URL.parse(value.replace(/^ws/, 'http'))
    if (url && /^https?:$/.test(url.protocol) && /^\/?$/.test(url.pathname) && !url.search) return url.origin
    context.addIssue({
      code: 'custom',
      message: 'must be a URL such as wss://livekit.example.com, or several with commas',
    })
    return z.NEVER
  }),
)

/** Millrace servers, each by URL or by host and port; `http://` may be omitted. */
export const millraceServers = list.transform((values, context) =>
  values.map((value) => {
    const url = URL.parse(/^https?:\/\//.test(value) ? value : `http://${value}`)
    if (url?.hostname && url.pathname === '/' && !url.search && !url.username) return url.origin
    context.addIssue({
      code: 'custom',
      message: 'must be servers with commas between, such as millrace:8000 or http://10.0.0.5:8000',
    })
    return z.NEVER
  }),
)

export const webhookSecret = text.refine((value) => {
  const [, encoded = ''] = /^whsec_([A-Za-z0-9+/]+=*)$/.exec(value) ?? []
  const { length } = Buffer.from(encoded, 'base64')
  return length >= 24 && length <= 64
}, 'must be whsec_ and 24 to 64 bytes as base64, such as the output of: echo whsec_$(openssl rand -base64 32)')

/** Livepeer's price units; default: dollars per hour. */
export const price = text
  .regex(/^\d+(\.\d+)?(\/(hour|720p|fixed))?$/, 'must be US dollars and a unit, such as 0.35/hour; also 720p and fixed')
  .transform((value) => {
    const [amount, unit = 'hour'] = value.split('/')
    return { price: Number(amount), currency: 'usd', unit }
  })
