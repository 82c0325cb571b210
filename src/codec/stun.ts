// STUN messages of ICE: RFC 8489 §5 and §14, RFC 8445 §16.
// Bound: read once from front to back; what comes out is one name and views, and a signature is one hash of the
// message.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { crc32 } from 'node:zlib'

const MAGIC_COOKIE = 0x2112a442
const HEADER_BYTES = 20
const BINDING_REQUEST = 0x0001
const BINDING_SUCCESS = 0x0101
const BINDING_ERROR = 0x0111

const USERNAME = 0x0006
const MESSAGE_INTEGRITY = 0x0008
const ERROR_CODE = 0x0009
const XOR_MAPPED_ADDRESS = 0x0020
const PRIORITY = 0x0024
const USE_CANDIDATE = 0x0025
const FINGERPRINT = 0x8028
const ICE_CONTROLLED = 0x8029
const ICE_CONTROLLING = 0x802a
const FINGERPRINT_XOR = 0x5354554e

/** RFC 8445 §16.1; one per process, because roles do not change within a session. */
const TIE_BREAKER = randomBytes(8)

export type BindingRequest = {
  transactionId: Buffer
  /** `receiver's ufrag:sender's ufrag`. */
  username: string
  useCandidate: boolean
  /** The sender is in the controlled role. */
  controlled: boolean
  /** Whether the message was signed with `password` (RFC 8489 §14.5). */
  signedWith(password: string): boolean
}

/** The answer to our binding request. */
export type BindingSuccess = Pick<BindingRequest, 'transactionId' | 'signedWith'>

/** A binding success with MESSAGE-INTEGRITY; undefined for any other or damaged message. */
export function parseBindingSuccess(data: Uint8Array): BindingSuccess | undefined {
  return parseSigned(data, BINDING_SUCCESS)
}

/** A binding request; undefined for any other or damaged message, or without USERNAME and MESSAGE-INTEGRITY. */
export function parseBindingRequest(data: Uint8Array): BindingRequest | undefined {
  const message = parseSigned(data, BINDING_REQUEST)
  return message?.username === undefined ? undefined : { ...message, username: message.username }
}

function parseSigned(
  data: Uint8Array,
  messageType: number,
): (Omit<BindingRequest, 'username'> & { username: string | undefined }) | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length)
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== messageType) return
  if (bytes.readUInt32BE(4) !== MAGIC_COOKIE || bytes.readUInt16BE(2) !== bytes.length - HEADER_BYTES) return
  let username: string | undefined
  let useCandidate = false
  let controlled = false
  for (let at = HEADER_BYTES; at + 4 <= bytes.length; ) {
    const type = bytes.readUInt16BE(at)
    const length = bytes.readUInt16BE(at + 2)
    if (at + 4 + length > bytes.length) return
    if (type === USERNAME) username = bytes.toString('utf8', at + 4, at + 4 + length)
    else if (type === USE_CANDIDATE) useCandidate = true
    else if (type === ICE_CONTROLLED) controlled = true
    else if (type === MESSAGE_INTEGRITY) {
      // Attributes after the signature are not covered by it and ignored.
      if (length !== 20) return
      const signature = bytes.subarray(at + 4, at + 24)
      return {
        transactionId: bytes.subarray(8, HEADER_BYTES),
        username,
        useCandidate,
        controlled,
        signedWith: (password) => timingSafeEqual(signature, sign(bytes.subarray(0, at), password)),
      }
    }
    at += 4 + length + (-length & 3)
  }
  return
}

export type Check = {
  transactionId: Buffer
  /** `receiver's ufrag:sender's ufrag`. */
  username: string
  /** The receiver's. */
  password: string
  /** Whether we are controlling; default false. */
  leads?: boolean
  /** Nominates this path. */
  nominates?: boolean
}

/** Our connectivity check (RFC 8445 §7.1). */
export function writeBindingRequest(check: Check): Buffer {
  const priority = Buffer.alloc(4)
  // The priority of a peer-reflexive candidate (RFC 8445 §7.1.1).
  priority.writeUInt32BE(110 * 2 ** 24 + 65_535 * 2 ** 8 + 255)
  const attributes = Buffer.concat([
    attributeBytes(USERNAME, Buffer.from(check.username)),
    attributeBytes(PRIORITY, priority),
    attributeBytes(check.leads ? ICE_CONTROLLING : ICE_CONTROLLED, TIE_BREAKER),
    ...(check.nominates ? [attributeBytes(USE_CANDIDATE, Buffer.alloc(0))] : []),
  ])
  return writeSigned(BINDING_REQUEST, check.transactionId, attributes, check.password)
}

/** The answer to a binding request: its source address (§14.2), signed with the same password. */
export function writeBindingSuccess(
  request: BindingRequest,
  from: { address: string; port: number },
  password: string,
): Buffer {
  return writeMessage(BINDING_SUCCESS, request, XOR_MAPPED_ADDRESS, xorAddress(from, request.transactionId), password)
}

/** A role conflict: both sides are in the controlled role (RFC 8445 §7.3.1.1). */
export function writeRoleConflict(request: BindingRequest, password: string): Buffer {
  const value = Buffer.concat([Buffer.from([0, 0, 4, 87]), Buffer.from('Role Conflict')])
  return writeMessage(BINDING_ERROR, request, ERROR_CODE, value, password)
}

function writeMessage(type: number, request: BindingRequest, attribute: number, value: Buffer, password: string) {
  return writeSigned(type, request.transactionId, attributeBytes(attribute, value), password)
}

function writeSigned(type: number, transactionId: Buffer, attributes: Buffer, password: string): Buffer {
  const message = Buffer.alloc(HEADER_BYTES)
  message.writeUInt16BE(type, 0)
  message.writeUInt32BE(MAGIC_COOKIE, 4)
  message.set(transactionId, 8)
  const body = Buffer.concat([message, attributes])
  const signed = Buffer.concat([body, attributeBytes(MESSAGE_INTEGRITY, sign(body, password))])
  // The length includes the fingerprint while it is computed (§14.7).
  signed.writeUInt16BE(signed.length - HEADER_BYTES + 8, 2)
  const fingerprint = Buffer.alloc(4)
  fingerprint.writeUInt32BE((crc32(signed) ^ FINGERPRINT_XOR) >>> 0)
  return Buffer.concat([signed, attributeBytes(FINGERPRINT, fingerprint)])
}

function attributeBytes(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + value.length + (-value.length & 3))
  bytes.writeUInt16BE(type, 0)
  bytes.writeUInt16BE(value.length, 2)
  bytes.set(value, 4)
  return bytes
}

/** HMAC-SHA1 over what precedes the attribute, with the length as if the message ended with it (§14.5). */
function sign(preceding: Uint8Array, password: string): Buffer {
  const head = Buffer.from(preceding)
  head.writeUInt16BE(preceding.length - HEADER_BYTES + 24, 2)
  return createHmac('sha1', password).update(head).digest()
}

function xorAddress({ address, port }: { address: string; port: number }, transactionId: Buffer): Buffer {
  const raw = isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address)
  const mask = Buffer.concat([Buffer.from([0x21, 0x12, 0xa4, 0x42]), transactionId])
  const value = Buffer.alloc(4 + raw.length)
  value[1] = raw.length === 4 ? 1 : 2
  value.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 2)
  for (const [i, byte] of raw.entries()) value[4 + i] = byte ^ mask[i]!
  return value
}

function ipv6Bytes(address: string): Buffer {
  const bytes = Buffer.alloc(16)
  const [head = '', tail = ''] = address.split('%')[0]!.split('::')
  const groups = (text: string) => text.split(':').filter(Boolean)
  const front = groups(head)
  const back = groups(tail)
  for (const [i, group] of front.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i)
  for (const [i, group] of back.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), 16 - 2 * (back.length - i))
  return bytes
}
