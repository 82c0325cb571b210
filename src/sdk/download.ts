import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { AppError } from '../core/errors.ts'
import { sleep } from '../core/resource.ts'
import { lockFile } from './download-lock.ts'
import type { PipelineContext } from './pipeline-class.ts'

export type DownloadOptions = {
  /** `https:` or `http:` URL; redirects are followed. */
  url: string
  /** Destination below the context's `modelDir`; folders are created. */
  file: string
  /** SHA-256 of the complete file, 64 hexadecimal digits. */
  sha256: string
  /** How long to wait for the next byte, in ms; default 30,000. */
  idleMs?: number
  /** Consecutive failures without a byte in between; default 5, a few seconds apart. */
  attempts?: number
}

type Context = Pick<PipelineContext, 'modelDir' | 'log' | 'signal'>

const PROGRESS_MS = 500
const RETRY_MS = 1000
const LONGEST_RETRY_MS = 30_000

/** A response that a retry will not change. */
class Refused extends Error {}

/**
 * Downloads a file once and returns its absolute path. An existing file is not fetched again, so this may also be
 * called while a model is loaded, without a network. An interrupted download resumes; the file appears under its name
 * only when it is complete and its checksum matches. Progress goes to `context.log`. Rejects with `pipeline-failed` and
 * the reason.
 */
export async function download(options: DownloadOptions, context: Context): Promise<string> {
  const { file, sha256 } = options
  if (!/^[0-9a-f]{64}$/i.test(sha256)) throw failure(file, 'sha256 must be 64 hexadecimal digits')
  const target = join(context.modelDir, file)
  const within = relative(context.modelDir, target)
  if (within === '' || within.startsWith('..') || isAbsolute(within)) throw failure(file, 'it lies outside of modelDir')
  // Checked before anything is written: the folder may be read-only.
  if (await isThere(target, sha256)) return target
  await mkdir(dirname(target), { recursive: true })
  const lock = await lockFile(`${target}.lock`, context.signal)
  try {
    if (await isThere(target, sha256)) return target
    await fetchWhole(options, target, context)
    return target
  } catch (thrown) {
    if (context.signal.aborted) throw failure(file, 'it was broken off', thrown)
    throw thrown instanceof AppError ? thrown : failure(file, (thrown as Error).message, thrown)
  } finally {
    await lock.release()
  }
}

/** The result of the last check is stored beside the file, because reading gigabytes takes long. */
async function isThere(target: string, sha256: string): Promise<boolean> {
  const size = await stat(target).then(
    (found) => found.size,
    () => undefined,
  )
  if (size === undefined) return false
  const known = await readFile(`${target}.sha256`, 'utf8').catch(() => '')
  if (known === note(sha256, size)) return true
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(target)) hash.update(chunk)
  if (hash.digest('hex') !== sha256.toLowerCase()) return false
  await writeFile(`${target}.sha256`, note(sha256, size)).catch(() => {})
  return true
}

const note = (sha256: string, size: number): string => `${sha256.toLowerCase()} ${size}\n`

async function fetchWhole(options: DownloadOptions, target: string, context: Context): Promise<void> {
  const { file, sha256, attempts = 5 } = options
  const part = `${target}.${sha256.slice(0, 12)}.part`
  const began = performance.now()
  let size = 0
  for (let failures = 0, resumed = await sizeOf(part); ; ) {
    const before = await sizeOf(part)
    try {
      const digest = await fetchRest(options, part, context)
      size = await sizeOf(part)
      if (digest === sha256.toLowerCase()) break
      await rm(part)
      if (resumed === 0) throw new Refused(`its SHA-256 is ${digest}, not ${sha256.toLowerCase()}`)
      context.log.warn({ download: file }, 'the partial download does not match; starting over')
      resumed = 0
    } catch (thrown) {
      if (context.signal.aborted || thrown instanceof Refused) throw thrown
      failures = (await sizeOf(part)) > before ? 1 : failures + 1
      if (failures >= attempts) throw new Error(`${reasonOf(thrown)} (${attempts} times)`)
      context.log.warn({ download: file, reason: reasonOf(thrown) }, 'the download broke off; trying again')
      await sleep(Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** (failures - 1)), context.signal)
    }
  }
  await rename(part, target)
  await writeFile(`${target}.sha256`, note(sha256, size))
  context.log.info(
    { download: file, bytes: size, totalBytes: size, ms: Math.round(performance.now() - began) },
    'downloaded',
  )
}

/** Appends the missing bytes to the part file; returns the SHA-256 of the whole. */
async function fetchRest(options: DownloadOptions, part: string, { log, signal }: Context): Promise<string> {
  const { url, file, idleMs = 30_000 } = options
  const idle = new AbortController()
  const timer = setTimeout(() => idle.abort(new Error(`no byte came for ${idleMs} ms`)), idleMs)
  const handle = await open(part, 'a+')
  try {
    const have = (await handle.stat()).size
    const headers = have > 0 ? { range: `bytes=${have}-` } : undefined
    const response = await fetch(url, { ...(headers && { headers }), signal: AbortSignal.any([signal, idle.signal]) })
    const from = await startOf(response, have, handle)
    const hash = createHash('sha256')
    await hashStart(handle, from, hash)
    const length = Number(response.headers.get('content-length') ?? Number.NaN)
    const totalBytes = Number.isFinite(length) && !response.headers.get('content-encoding') ? from + length : undefined
    let bytes = from
    let told = 0
    for await (const chunk of response.body ?? []) {
      timer.refresh()
      hash.update(chunk)
      await handle.appendFile(chunk)
      bytes += chunk.length
      if (performance.now() - told < PROGRESS_MS) continue
      told = performance.now()
      log.info({ download: file, bytes, ...(totalBytes && { totalBytes }) }, 'downloading')
    }
    if (totalBytes !== undefined && bytes !== totalBytes)
      throw new Error(`it ended after ${bytes} of ${totalBytes} bytes`)
    await handle.sync()
    return hash.digest('hex')
  } catch (thrown) {
    throw idle.signal.aborted ? idle.signal.reason : thrown
  } finally {
    clearTimeout(timer)
    await handle.close()
  }
}

/** The offset at which the response's body begins in the file (RFC 9110 §14.4, §15.5.17). */
async function startOf(response: Response, have: number, handle: FileHandle): Promise<number> {
  const { status, statusText, headers } = response
  const from = status === 206 ? Number(/^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1]) : 0
  if (status === 206 && from === have) return have
  // The server sends the whole file again, or something else: the bytes so far are useless.
  if ([200, 206, 416].includes(status)) await handle.truncate(0)
  if (status === 200) return 0
  await response.body?.cancel()
  const said = `the server answered ${status} ${statusText}`.trim()
  if (status >= 500 || [206, 408, 416, 425, 429].includes(status)) throw new Error(said)
  throw new Refused(said)
}

async function hashStart(handle: FileHandle, length: number, hash: Hash): Promise<void> {
  const buffer = Buffer.alloc(Math.min(length, 1024 * 1024))
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, length - at), at)
    if (bytesRead === 0) throw new Error('the kept part became shorter')
    hash.update(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
}

function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}

function failure(file: string, reason: string, cause?: unknown): AppError {
  return new AppError('pipeline-failed', `could not download ${file}: ${reason}`, { cause })
}

/** `fetch` only says that it failed; its cause says why. */
function reasonOf(thrown: unknown): string {
  const { message, cause } = thrown as Error
  return cause instanceof Error && cause.message ? `${message}: ${cause.message}` : message
}
