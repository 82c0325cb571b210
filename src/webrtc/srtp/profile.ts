// One direction of SRTP and SRTCP: RFC 3711, with AES-GCM from RFC 7714.
import { createCipheriv } from 'node:crypto'
import type { SrtpCipher } from './cipher.ts'
import { CounterCipher } from './counter.ts'
import { GcmCipher } from './gcm.ts'
import type { Primitives } from './primitives.ts'

/** Profile numbers in DTLS (RFC 5764 §4.1.2, RFC 7714 §14.2). */
export const SRTP_PROFILES = { aeadAes128Gcm: 0x0007, aes128CmHmacSha1_80: 0x0001 } as const
export type SrtpProfile = (typeof SRTP_PROFILES)[keyof typeof SRTP_PROFILES]

export const MASTER_KEY_BYTES = 16
export const masterSaltBytes = (profile: SrtpProfile): number => (profile === SRTP_PROFILES.aeadAes128Gcm ? 12 : 14)

export function srtpCipher(
  profile: SrtpProfile,
  masterKey: Buffer,
  masterSalt: Buffer,
  primitives: Primitives,
): SrtpCipher {
  const derive = (label: number, bytes: number) => deriveKey(masterKey, masterSalt, label, bytes)
  if (profile === SRTP_PROFILES.aeadAes128Gcm) {
    const keys = (from: number) => ({ gcm: primitives.gcm(derive(from, 16)), salt: derive(from + 2, 12) })
    return new GcmCipher(keys(0), keys(3))
  }
  const keys = (from: number) => ({
    aes: primitives.counterMode(derive(from, 16)),
    hmac: primitives.hmacSha1(derive(from + 1, 20)),
    salt: derive(from + 2, 14),
  })
  return new CounterCipher(keys(0), keys(3))
}

/** RFC 3711 §4.3.1 with a key derivation rate of 0; a GCM salt is padded with zeros (RFC 7714 §11). */
export function deriveKey(masterKey: Buffer, masterSalt: Buffer, label: number, bytes: number): Buffer {
  const counter = Buffer.alloc(16)
  counter.set(masterSalt)
  counter[7]! ^= label
  return createCipheriv('aes-128-ctr', masterKey, counter).update(Buffer.alloc(bytes))
}
