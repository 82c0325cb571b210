import { TailBuffer } from '../../core/child.ts'
import { AppError } from '../../core/errors.ts'

/** Consequences of an earlier message. */
const HARDLY_A_REASON =
  /^\s*$|Conversion failed|Error initializing output stream|Error writing trailer|Error closing file|Error opening (in|out)put file|^Exiting/

/** Messages of an ffmpeg that talks to a media server (`-loglevel level+…`), without the secrets of its URL. */
export class Said {
  readonly #tail = new TailBuffer(20)
  readonly #secrets: readonly string[]
  #reason = ''

  constructor(secrets: readonly string[]) {
    this.#secrets = secrets
  }

  push(line: string): void {
    const plain = this.#plain(line)
    const level = /^(?:\[[^\]]* @ [^\]]*\] )*\[(\w+)\]/.exec(plain)?.[1]
    // Banners of encoders and libraries are not useful.
    if (level === 'info' || level === 'verbose') return
    this.#tail.push(`${plain}\n`)
    // Of `[component @ address] [level] URL: reason`, only the reason is useful.
    const header = /^Could not write header for output file #0 \(.*?\): /
    const text = plain
      .replace(/^(\[[^\]]*\] ?)+/, '')
      .replace(header, '')
      .replace(/^\S+:\/\/\S*: /, '')
    if ((level === 'error' || level === 'fatal') && !HARDLY_A_REASON.test(text)) this.#reason = text
  }

  /** An error that may quote the server, without the secrets. */
  withoutSecrets(error: AppError): AppError {
    const { code, message, retryable, details } = error
    return new AppError(code, this.#plain(message), { retryable, cause: error.cause, ...(details && { details }) })
  }

  #plain(text: string): string {
    return this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
  }

  /** The error for `what`, with the last reason given. */
  error(what: string): AppError {
    const details = { ffmpeg: this.#tail.lines }
    return new AppError('peer-failed', this.#reason ? `${what}: ${this.#reason}` : what, { retryable: true, details })
  }
}
