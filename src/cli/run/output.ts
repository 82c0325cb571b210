import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { AudioFrame } from '../../core/media/audio.ts'
import { sameShape, type VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import type { Context } from '../../core/resource.ts'
import { AUDIO_ENDINGS, copyAudio, FileAudioSink, joinFiles } from '../../ffmpeg/file/audio-sink.ts'
import { FileSink, type FileSinkOptions, VIDEO_ENDINGS } from '../../ffmpeg/file/sink.ts'

/** Extensions of files with the pipeline's raw bytes, frame after frame. */
const RAW_ENDINGS = ['.raw', '.yuv', '.rgb', '.rgba', '.gray']

export type OutputOptions = Omit<FileSinkOptions, 'file' | 'shape'> & {
  path: string
  /** No frames will be written. */
  audioOnly?: boolean
}

/** What becomes of the outputs of a run. */
export interface Output extends AsyncDisposable {
  /** Number of frames written. */
  readonly frames: number
  write(frame: VideoFrame): Promise<void>
  writeAudio(frame: AudioFrame): Promise<void>
  /** Resolves when everything is in place. */
  finish(): Promise<void>
}

type Sink = { write(frame: VideoFrame): Promise<void>; finish(): Promise<void> } & AsyncDisposable

/**
 * The output file of a run. It is written under another name in the same folder and renamed when complete, so that a
 * file with the final name is never partial.
 */
export class RunOutput implements Output {
  frames = 0
  readonly #options: OutputOptions
  readonly #context: Context
  readonly #mark = randomBytes(4).toString('hex')
  readonly #temporary: string
  /** File of the encoded audio, and of the result with it. */
  readonly #audioFile: string
  readonly #joined: string
  #audio: FileAudioSink | undefined
  #shape: Omit<VideoFrame, 'data' | 'pts'> | undefined
  #sink: Sink | undefined

  constructor(options: OutputOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#temporary = this.#beside('partial')
    this.#audioFile = this.#beside('audio.partial')
    this.#joined = this.#beside('joined.partial')
  }

  /** The first frame determines size and format of the file. */
  async write(frame: VideoFrame): Promise<void> {
    this.#shape ??= { format: frame.format, width: frame.width, height: frame.height }
    if (!sameShape(this.#shape, frame)) {
      const say = ({ format, width, height }: FileSinkOptions['shape']) => `${width}x${height} ${format}`
      giveBack(frame.data)
      throw new AppError(
        'pipeline-failed',
        `output ${this.frames + 1} is ${say(frame)}, those before are ${say(this.#shape)}`,
      )
    }
    this.#sink ??= await this.#open(this.#shape)
    await this.#sink.write(frame)
    this.frames++
  }

  /** Replaces the audio of INPUT; raw frames have no audio. */
  async writeAudio(frame: AudioFrame): Promise<void> {
    const { path, ffmpeg } = this.#options
    if (isRaw(path)) return
    this.#audio ??= await FileAudioSink.open({ ffmpeg, file: this.#audioFile }, this.#context)
    await this.#audio.write(frame)
  }

  async finish(): Promise<void> {
    const whole = await (this.#options.audioOnly ? this.#audioAlone() : this.#withFrames())
    const file = openSync(whole, 'r+')
    fsyncSync(file)
    closeSync(file)
    renameSync(whole, this.#options.path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink?.[Symbol.asyncDispose]()
    await this.#audio?.[Symbol.asyncDispose]()
    for (const file of [this.#temporary, this.#audioFile, this.#joined]) rmSync(file, { force: true })
  }

  async #audioAlone(): Promise<string> {
    const { ffmpeg, audioFrom } = this.#options
    if (audioFrom) await copyAudio({ ffmpeg, input: audioFrom, file: this.#audioFile }, this.#context)
    else if (this.#audio) await this.#audio.finish()
    else throw new AppError('pipeline-failed', 'the pipeline gave no output')
    return this.#audioFile
  }

  async #withFrames(): Promise<string> {
    if (!this.#sink) throw new AppError('pipeline-failed', 'the pipeline gave no output')
    await this.#sink.finish()
    if (!this.#audio) return this.#temporary
    await this.#audio.finish()
    const { ffmpeg } = this.#options
    const files = { video: this.#temporary, audio: this.#audioFile, file: this.#joined }
    await joinFiles({ ffmpeg, ...files }, this.#context)
    return this.#joined
  }

  #beside(what: string): string {
    const { path } = this.#options
    const ending = extname(path)
    return join(dirname(path), `.${basename(path, ending)}.${this.#mark}.${what}${ending}`)
  }

  async #open(shape: FileSinkOptions['shape']): Promise<Sink> {
    const { path, audioOnly: _, ...options } = this.#options
    if (isRaw(path)) return RawFile.open(this.#temporary)
    return FileSink.open({ ...options, file: this.#temporary, shape }, this.#context)
  }
}

/** Discards the outputs of a pipeline whose messages are wanted. */
export class NoOutput implements Output {
  frames = 0

  async write({ data }: VideoFrame): Promise<void> {
    giveBack(data)
    this.frames++
  }

  async writeAudio(): Promise<void> {}
  async finish(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** @throws AppError `invalid-request` for a name that cannot be used. */
export function checkOutput(path: string, input: string): void {
  const ending = extname(path).toLowerCase()
  const accepted = [...VIDEO_ENDINGS, ...AUDIO_ENDINGS, ...RAW_ENDINGS]
  if (!accepted.includes(ending))
    throw new AppError(
      'invalid-request',
      `OUTPUT is ${JSON.stringify(path)}; accepted are names that end in ${accepted.join(', ')}`,
    )
  const folder = dirname(resolve(path))
  if (!existsSync(folder)) throw new AppError('invalid-request', `OUTPUT ${path}: there is no folder ${folder}`)
  if (existsSync(path) && realpathSync(path) === realpathSync(input))
    throw new AppError('invalid-request', `OUTPUT ${path} is INPUT itself`)
}

/** Raw frames have no audio. */
export function isRaw(path: string): boolean {
  return RAW_ENDINGS.includes(extname(path).toLowerCase())
}

/** Whether such a file has no video. */
export function isAudioFile(path: string): boolean {
  return AUDIO_ENDINGS.includes(extname(path).toLowerCase())
}

class RawFile implements Sink {
  readonly #file: FileHandle
  #closed = false

  private constructor(file: FileHandle) {
    this.#file = file
  }

  static async open(path: string): Promise<RawFile> {
    return new RawFile(await open(path, 'wx'))
  }

  async write({ data }: VideoFrame): Promise<void> {
    try {
      for (let at = 0; at < data.length; ) at += (await this.#file.write(data, at)).bytesWritten
    } finally {
      giveBack(data)
    }
  }

  async finish(): Promise<void> {
    this.#closed = true
    await this.#file.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.finish()
  }
}
