import { expect, test } from 'vitest'
import { parseChannelOpen, writeChannelOpen } from '../../../../src/codec/sctp/dcep.ts'

test('a channel is opened with its name', () => {
  expect(parseChannelOpen(writeChannelOpen('données'))).toEqual({ label: 'données', protocol: '', ordered: true })
  const open = Buffer.from('038101000000000000040002646174616a73', 'hex')
  expect(parseChannelOpen(open)).toEqual({ label: 'data', protocol: 'js', ordered: false })
})

test.each([
  '',
  '02',
  '030000000000000000040000646174', // shorter than its label
  '0300000000000000000400006461746100', // longer than its names
  `03000000000000000101 0000 ${'61'.repeat(257)}`.replaceAll(' ', ''), // a label of 257 bytes
])('%s opens no channel', (hex) => {
  expect(parseChannelOpen(Buffer.from(hex, 'hex'))).toBeUndefined()
})
