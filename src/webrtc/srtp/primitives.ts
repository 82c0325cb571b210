// The primitives of SRTP, working on memory in place; node:crypto and OpenSSL itself are two implementations with equal
// output.
import { createCipheriv, createDecipheriv, createHmac, createSecretKey } from 'node:crypto'
import type { NativeMemory } from '../native/memory.ts'

export const GCM_IV_BYTES = 12
export const GCM_TAG_BYTES = 16
export const COUNTER_BYTES = 16
export const SHA1_BYTES = 20

/**
 * AES-128-GCM under one key. From `at` on there are `clearBytes` that are only signed, `bytes` to encrypt, and the
 * 16-byte tag.
 */
export type Gcm = Freed & {
  /**
   * Encrypts in place and writes the tag. `iv` begins with 12 bytes that this key has never used with other content.
   */
  seal(iv: NativeMemory, memory: NativeMemory, at: number, clearBytes: number, bytes: number): void
  /** Decrypts in place; false if the tag does not match: the memory's content must not be used then. */
  open(iv: NativeMemory, memory: NativeMemory, at: number, clearBytes: number, bytes: number): boolean
}

/**
 * AES-128 in counter mode under one key: encrypts and decrypts in place. `counter` begins with the 16-byte initial
 * counter.
 */
export type CounterMode = Freed & {
  crypt(counter: NativeMemory, memory: NativeMemory, at: number, bytes: number): void
}

/** HMAC-SHA1 under one key. */
export type HmacSha1 = Freed & {
  /** The MAC of `bytes` at `at`: 20 bytes, valid until the next call. */
  sign(memory: NativeMemory, at: number, bytes: number): Uint8Array
}

type Freed = {
  /** Discards the key. Nothing else may be called afterwards. */
  free(): void
}

/** Factories of all three. AES keys have 16 bytes, HMAC keys any number. */
export type Primitives = {
  gcm(key: Buffer): Gcm
  counterMode(key: Buffer): CounterMode
  hmacSha1(key: Buffer): HmacSha1
}

/** Uses `node:crypto`, available everywhere. */
export const nodePrimitives: Primitives = {
  gcm(bytes) {
    const key = createSecretKey(bytes)
    return {
      seal(iv, { bytes: memory }, at, clearBytes, length) {
        const from = at + clearBytes
        const end = from + length
        const cipher = createCipheriv('aes-128-gcm', key, iv.bytes.subarray(0, GCM_IV_BYTES))
        cipher.setAAD(memory.subarray(at, from))
        memory.set(cipher.update(memory.subarray(from, end)), from)
        cipher.final()
        memory.set(cipher.getAuthTag(), end)
      },
      open(iv, { bytes: memory }, at, clearBytes, length) {
        const from = at + clearBytes
        const end = from + length
        const decipher = createDecipheriv('aes-128-gcm', key, iv.bytes.subarray(0, GCM_IV_BYTES))
        decipher.setAAD(memory.subarray(at, from)).setAuthTag(memory.subarray(end, end + GCM_TAG_BYTES))
        memory.set(decipher.update(memory.subarray(from, end)), from)
        return isAuthentic(decipher)
      },
      free() {},
    }
  },
  counterMode(bytes) {
    const key = createSecretKey(bytes)
    return {
      crypt(counter, { bytes: memory }, at, length) {
        const cipher = createCipheriv('aes-128-ctr', key, counter.bytes.subarray(0, COUNTER_BYTES))
        memory.set(cipher.update(memory.subarray(at, at + length)), at)
      },
      free() {},
    }
  },
  hmacSha1(bytes) {
    const key = createSecretKey(bytes)
    return {
      sign: ({ bytes: memory }, at, length) =>
        createHmac('sha1', key)
          .update(memory.subarray(at, at + length))
          .digest(),
      free() {},
    }
  },
}

function isAuthentic(decipher: { final(): Buffer }): boolean {
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}
