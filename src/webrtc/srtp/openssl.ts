// The OpenSSL functions behind node:crypto, called directly: one context per key, to which each packet gives only a new
// nonce. A packet of 1,150 bytes then takes 0.5 µs instead of the 8 to 11 of createCipheriv.
import koffi, { type KoffiFunc } from 'koffi'
import { NativeMemory } from '../native/memory.ts'
import {
  COUNTER_BYTES,
  type CounterMode,
  GCM_IV_BYTES,
  GCM_TAG_BYTES,
  type Gcm,
  type HmacSha1,
  nodePrimitives,
  type Primitives,
  SHA1_BYTES,
} from './primitives.ts'

const KEY_BYTES = 16
/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const GET_TAG = 0x10
const SET_TAG = 0x11

/** Names as in openssl/evp.h and openssl/hmac.h. Addresses are numbers: nothing is converted or copied. */
function load() {
  const program = koffi.load(null)
  const pointer = 'uintptr_t'
  const func = (result: string, name: string, ...parameters: string[]) => program.func(name, result, parameters)
  const init = [pointer, pointer, pointer, pointer, pointer]
  const update = [pointer, pointer, pointer, pointer, 'int']
  const final = [pointer, pointer, pointer]
  return {
    newContext: func(pointer, 'EVP_CIPHER_CTX_new'),
    freeContext: func('void', 'EVP_CIPHER_CTX_free', pointer),
    control: func('int', 'EVP_CIPHER_CTX_ctrl', pointer, 'int', 'int', pointer),
    encryptInit: func('int', 'EVP_EncryptInit_ex', ...init),
    encryptUpdate: func('int', 'EVP_EncryptUpdate', ...update),
    encryptFinal: func('int', 'EVP_EncryptFinal_ex', ...final),
    decryptInit: func('int', 'EVP_DecryptInit_ex', ...init),
    decryptUpdate: func('int', 'EVP_DecryptUpdate', ...update),
    decryptFinal: func('int', 'EVP_DecryptFinal_ex', ...final),
    forgetErrors: func('void', 'ERR_clear_error'),
    newHmac: func(pointer, 'HMAC_CTX_new'),
    freeHmac: func('void', 'HMAC_CTX_free', pointer),
    hmacInit: func('int', 'HMAC_Init_ex', pointer, pointer, 'int', pointer, pointer),
    hmacUpdate: func('int', 'HMAC_Update', pointer, pointer, 'size_t'),
    hmacFinal: func('int', 'HMAC_Final', pointer, pointer, pointer),
    gcm: Number(func(pointer, 'EVP_aes_128_gcm')()),
    counterMode: Number(func(pointer, 'EVP_aes_128_ctr')()),
    sha1: Number(func(pointer, 'EVP_sha1')()),
  }
}

type NativeFunction = KoffiFunc<(...given: number[]) => number>
type OpenSsl = ReturnType<typeof load>

/** OpenSSL writes lengths here, which are known, and the bytes of a final block, which these modes do not have. */
const unused = new NativeMemory(64)
const digest = new NativeMemory(SHA1_BYTES)
const keyMemory = new NativeMemory(64)

/**
 * OpenSSL's own functions; undefined if this executable does not export them, or they behave differently from
 * node:crypto.
 */
export function openSslPrimitives(): Primitives | undefined {
  loaded ??= { primitives: tryToLoad() }
  return loaded.primitives
}

let loaded: { primitives: Primitives | undefined } | undefined

function tryToLoad(): Primitives | undefined {
  try {
    const ssl = load()
    const primitives: Primitives = {
      gcm: (key) => new OpenSslGcm(ssl, key),
      counterMode: (key) => new OpenSslCounterMode(ssl, key),
      hmacSha1: (key) => new OpenSslHmac(ssl, key),
    }
    return agrees(primitives) ? primitives : undefined
  } catch {
    // Not every build of Node exports them: one linked to the system's OpenSSL has them elsewhere.
    return
  }
}

/** An executable may export functions of these names from another library, in another version. */
function agrees(primitives: Primitives): boolean {
  const key = Buffer.alloc(KEY_BYTES, 7)
  const iv = new NativeMemory(COUNTER_BYTES)
  iv.bytes.fill(9)
  const results = [primitives, nodePrimitives].map((made) => {
    const memory = new NativeMemory(100)
    memory.bytes.fill(5)
    const [gcm, counterMode, hmac] = [made.gcm(key), made.counterMode(key), made.hmacSha1(key)]
    gcm.seal(iv, memory, 0, 12, 72)
    counterMode.crypt(iv, memory, 0, 50)
    const signature = hmac.sign(memory, 0, 100)
    const result = Buffer.concat([memory.bytes, signature])
    for (const one of [gcm, counterMode, hmac]) one.free()
    return result
  })
  return results[0]!.equals(results[1]!)
}

function must(success: unknown): void {
  if (success !== 1) throw new Error('a call of OpenSSL failed')
}

/** Puts a key where C can read it, for the duration of `use`. */
function withKey(key: Buffer, use: (address: number) => void): void {
  if (key.length > keyMemory.bytes.length) throw new RangeError(`a key of ${key.length} bytes is too long`)
  keyMemory.bytes.set(key)
  use(keyMemory.address)
  keyMemory.bytes.fill(0)
}

/** A context of one cipher, key and direction. */
class CipherContext {
  readonly #ssl: OpenSsl
  #address: number

  constructor(ssl: OpenSsl, cipher: number, key: Buffer, init: NativeFunction) {
    if (key.length !== KEY_BYTES) throw new RangeError(`a key of AES-128 has ${KEY_BYTES} bytes, not ${key.length}`)
    this.#ssl = ssl
    this.#address = Number(ssl.newContext())
    withKey(key, (address) => must(init(this.address, cipher, 0, address, 0)))
  }

  /** Throws once it is freed: the memory may belong to others then. */
  get address(): number {
    if (this.#address === 0) throw new Error('this key is not there any more')
    return this.#address
  }

  free(): void {
    if (this.#address !== 0) this.#ssl.freeContext(this.#address)
    this.#address = 0
  }
}

class OpenSslGcm implements Gcm {
  readonly #ssl: OpenSsl
  readonly #encryption: CipherContext
  readonly #decryption: CipherContext

  constructor(ssl: OpenSsl, key: Buffer) {
    this.#ssl = ssl
    this.#encryption = new CipherContext(ssl, ssl.gcm, key, ssl.encryptInit)
    this.#decryption = new CipherContext(ssl, ssl.gcm, key, ssl.decryptInit)
  }

  seal(iv: NativeMemory, memory: NativeMemory, at: number, clearBytes: number, bytes: number): void {
    const { encryptInit, encryptUpdate, encryptFinal, control } = this.#ssl
    const context = this.#encryption.address
    const clear = memory.at(at, clearBytes)
    const secret = memory.at(at + clearBytes, bytes)
    const tag = memory.at(at + clearBytes + bytes, GCM_TAG_BYTES)
    must(encryptInit(context, 0, 0, 0, iv.at(0, GCM_IV_BYTES)))
    must(encryptUpdate(context, 0, unused.address, clear, clearBytes))
    must(encryptUpdate(context, secret, unused.address, secret, bytes))
    must(encryptFinal(context, unused.address, unused.address))
    must(control(context, GET_TAG, GCM_TAG_BYTES, tag))
  }

  open(iv: NativeMemory, memory: NativeMemory, at: number, clearBytes: number, bytes: number): boolean {
    const { decryptInit, decryptUpdate, decryptFinal, control } = this.#ssl
    const context = this.#decryption.address
    const clear = memory.at(at, clearBytes)
    const secret = memory.at(at + clearBytes, bytes)
    const tag = memory.at(at + clearBytes + bytes, GCM_TAG_BYTES)
    must(decryptInit(context, 0, 0, 0, iv.at(0, GCM_IV_BYTES)))
    must(control(context, SET_TAG, GCM_TAG_BYTES, tag))
    must(decryptUpdate(context, 0, unused.address, clear, clearBytes))
    must(decryptUpdate(context, secret, unused.address, secret, bytes))
    if (decryptFinal(context, unused.address, unused.address) === 1) return true
    // Otherwise Node would report a leftover error as that of its own next call.
    this.#ssl.forgetErrors()
    return false
  }

  free(): void {
    this.#encryption.free()
    this.#decryption.free()
  }
}

class OpenSslCounterMode implements CounterMode {
  readonly #ssl: OpenSsl
  readonly #context: CipherContext

  constructor(ssl: OpenSsl, key: Buffer) {
    this.#ssl = ssl
    this.#context = new CipherContext(ssl, ssl.counterMode, key, ssl.encryptInit)
  }

  crypt(counter: NativeMemory, memory: NativeMemory, at: number, bytes: number): void {
    const context = this.#context.address
    const secret = memory.at(at, bytes)
    must(this.#ssl.encryptInit(context, 0, 0, 0, counter.at(0, COUNTER_BYTES)))
    must(this.#ssl.encryptUpdate(context, secret, unused.address, secret, bytes))
  }

  free(): void {
    this.#context.free()
  }
}

class OpenSslHmac implements HmacSha1 {
  readonly #ssl: OpenSsl
  #context: number

  constructor(ssl: OpenSsl, key: Buffer) {
    this.#ssl = ssl
    this.#context = Number(ssl.newHmac())
    withKey(key, (address) => must(ssl.hmacInit(this.#context, address, key.length, ssl.sha1, 0)))
  }

  sign(memory: NativeMemory, at: number, bytes: number): Uint8Array {
    const { hmacInit, hmacUpdate, hmacFinal } = this.#ssl
    if (this.#context === 0) throw new Error('this key is not there any more')
    must(hmacInit(this.#context, 0, 0, 0, 0))
    must(hmacUpdate(this.#context, memory.at(at, bytes), bytes))
    must(hmacFinal(this.#context, digest.address, unused.address))
    return digest.bytes
  }

  free(): void {
    if (this.#context !== 0) this.#ssl.freeHmac(this.#context)
    this.#context = 0
  }
}
