import { createCipheriv, createHmac, randomBytes, randomInt } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { NativeMemory } from '../../../../src/webrtc/native/memory.ts'
import { GcmCipher } from '../../../../src/webrtc/srtp/gcm.ts'
import { openSslPrimitives } from '../../../../src/webrtc/srtp/openssl.ts'
import { nodePrimitives, type Primitives } from '../../../../src/webrtc/srtp/primitives.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

function memoryOf(bytes: Uint8Array, room = 0): NativeMemory {
  const memory = new NativeMemory(bytes.length + room)
  memory.bytes.fill(0)
  memory.bytes.set(bytes)
  return memory
}

test('this Node has the OpenSSL functions', () => {
  expect(openSslPrimitives()).toBeDefined()
})

const makers: [string, Primitives][] = [
  ['node:crypto', nodePrimitives],
  ['OpenSSL', openSslPrimitives() ?? nodePrimitives],
]

describe.each(makers)('%s', (_, primitives) => {
  test('a packet of RFC 7714 §16.1', () => {
    const gcm = () => primitives.gcm(hex('000102030405060708090a0b0c0d0e0f'))
    const salt = hex('517569642070726f2071756f')
    const cipher = new GcmCipher({ gcm: gcm(), salt }, { gcm: gcm(), salt })
    const header = hex('8040f17b 8041f8d3 5501a0b2')
    const payload = Buffer.from('Gallia est omnis divisa in partes tres')
    const memory = memoryOf(Buffer.concat([header, payload]), 16)
    cipher.protectRtp(memory, 0, header.length, payload.length, 0)
    expect(memory.bytes.toString('hex')).toBe(
      '8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce',
    )
    expect(cipher.unprotectRtp(Buffer.from(memory.bytes), header.length, 0)).toEqual(Buffer.concat([header, payload]))
    cipher.free()
  })

  test('the key stream of RFC 3711 B.2', () => {
    const aes = primitives.counterMode(hex('2B7E151628AED2A6ABF7158809CF4F3C'))
    const memory = memoryOf(new Uint8Array(48))
    aes.crypt(memoryOf(hex('F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000')), memory, 0, 48)
    expect(memory.bytes.toString('hex').toUpperCase()).toBe(
      'E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0',
    )
    aes.free()
  })

  test('a signature of RFC 2202 §3', () => {
    const hmac = primitives.hmacSha1(Buffer.alloc(20, 0x0b))
    const signature = hmac.sign(memoryOf(Buffer.from('Hi There')), 0, 8)
    expect(Buffer.from(signature).toString('hex')).toBe('b617318655057264e28bc0b6fb378c8ef146be00')
    hmac.free()
  })

  test('matches createCipheriv for every length, one key after the other', () => {
    for (let round = 0; round < 10; round++) {
      const key = randomBytes(16)
      const [gcm, aes, hmac] = [primitives.gcm(key), primitives.counterMode(key), primitives.hmacSha1(key)]
      const lengths = [0, 1, 15, 16, 17, 1150, 65_000, ...Array.from({ length: 40 }, () => randomInt(2000))]
      for (const length of lengths) {
        const [at, clear, iv] = [randomInt(5), 12 + randomInt(30), memoryOf(randomBytes(16))]
        const plain = randomBytes(at + clear + length + 16)
        const memory = memoryOf(plain)

        gcm.seal(iv, memory, at, clear, length)
        const cipher = createCipheriv('aes-128-gcm', key, iv.bytes.subarray(0, 12))
        cipher.setAAD(plain.subarray(at, at + clear))
        const sealed = Buffer.concat([cipher.update(plain.subarray(at + clear, -16)), cipher.final()])
        const all = Buffer.concat([plain.subarray(0, at + clear), sealed, cipher.getAuthTag()])
        expect(memory.bytes.equals(all)).toBe(true)

        expect(gcm.open(iv, memory, at, clear, length)).toBe(true)
        expect(memory.bytes.subarray(0, -16).equals(plain.subarray(0, -16))).toBe(true)
        gcm.seal(iv, memory, at, clear, length)
        memory.bytes[at + randomInt(memory.bytes.length - at)]! ^= 1 << randomInt(8)
        expect(gcm.open(iv, memory, at, clear, length)).toBe(false)

        const counted = memoryOf(plain)
        aes.crypt(iv, counted, at, length)
        const expected = createCipheriv('aes-128-ctr', key, iv.bytes).update(plain.subarray(at, at + length))
        expect(counted.bytes.subarray(at, at + length).equals(expected)).toBe(true)

        const signature = createHmac('sha1', key)
          .update(plain.subarray(at, at + length))
          .digest()
        expect(Buffer.from(hmac.sign(memoryOf(plain), at, length)).equals(signature)).toBe(true)
      }
      for (const one of [gcm, aes, hmac]) one.free()
    }
  })
})

test('OpenSSL gets no address outside the buffer, and no freed key', () => {
  const primitives = openSslPrimitives()!
  const key = randomBytes(16)
  const [gcm, aes, hmac] = [primitives.gcm(key), primitives.counterMode(key), primitives.hmacSha1(key)]
  const [iv, memory] = [memoryOf(new Uint8Array(16)), memoryOf(new Uint8Array(100))]
  const outside: [at: number, bytes: number][] = [
    [0, 101],
    [-1, 10],
    [90, 11],
    [0, -1],
    [Number.NaN, 1],
  ]
  for (const [at, bytes] of outside) {
    expect(() => gcm.seal(iv, memory, at, 0, bytes)).toThrow(RangeError)
    expect(() => gcm.open(iv, memory, at, 0, bytes)).toThrow(RangeError)
    expect(() => aes.crypt(iv, memory, at, bytes)).toThrow(RangeError)
    expect(() => hmac.sign(memory, at, bytes)).toThrow(RangeError)
  }
  // The tag needs room too, and the first part must not overlap what follows.
  expect(() => gcm.seal(iv, memory, 0, 12, 73)).toThrow(RangeError)
  expect(() => gcm.seal(iv, memory, 0, -1, 50)).toThrow(RangeError)
  expect(() => gcm.seal(iv, memory, 0, 90, -20)).toThrow(RangeError)
  expect(() => gcm.seal(memoryOf(new Uint8Array(11)), memory, 0, 12, 10)).toThrow(RangeError)
  expect(() => primitives.gcm(randomBytes(15))).toThrow(RangeError)
  for (const one of [gcm, aes, hmac]) {
    one.free()
    one.free()
  }
  expect(() => gcm.seal(iv, memory, 0, 12, 10)).toThrow('not there any more')
  expect(() => aes.crypt(iv, memory, 0, 10)).toThrow('not there any more')
  expect(() => hmac.sign(memory, 0, 10)).toThrow('not there any more')
})
