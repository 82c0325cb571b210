import { expect, test } from 'vitest'
import { splitCredentials } from '../../../src/core/secrets.ts'

const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })

test.each([
  ['https://host/x?y=z', 'https://host/x?y=z', {}],
  ['https://me:secret@host/x', 'https://host/x', basic('me:secret')],
  ['https://me@host:8443', 'https://host:8443/', basic('me:')],
  ['https://:secret@host/', 'https://host/', basic(':secret')],
  ['https://m%40e:a%3Ab%zz@host/', 'https://host/', basic('m@e:a%3Ab%zz')],
  ['https://%C3%A4:%F0%9F%94%91@host/', 'https://host/', basic('ä:🔑')],
])('%s is asked for as %s', (text, url, headers) => expect(splitCredentials(text)).toEqual({ url, headers }))
