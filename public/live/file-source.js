import { h } from '../dom.js'

const OPEN_MS = 20_000
/** Until the user clicks, some browsers keep an audio context suspended, and no event reports it. */
const AUDIO_MS = 1000

const KINDS = [
  ['MP4 with H.264', 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"'],
  ['MP4 with HEVC', 'video/mp4; codecs="hvc1.1.6.L93.B0"'],
  ['WebM with VP8, VP9', 'video/webm; codecs="vp9, opus"'],
  ['AV1', 'video/mp4; codecs="av01.0.05M.08"'],
  ['Ogg with Theora', 'video/ogg; codecs="theora, vorbis"'],
  ['Matroska', 'video/x-matroska'],
]

/**
 * A video file that the browser plays into a media stream. `media` is the stream, with audio at `volume`; nothing is
 * played through this page's speakers. Emits `change` on play, pause, seek and progress.
 */
export class FileSource extends EventTarget {
  name
  media
  #video
  #gain
  #context
  #url

  /**
   * Opens a file and plays it in a loop. Rejects if the browser cannot play or publish it.
   * @returns {Promise<FileSource>}
   */
  static async open(file) {
    const source = new FileSource(file)
    try {
      await source.#start(file)
      return source
    } catch (error) {
      source.close()
      throw error
    }
  }

  constructor(file) {
    super()
    this.name = file.name
    this.#url = URL.createObjectURL(file)
    this.#video = h('video', { playsinline: true, src: this.#url })
    this.#video.loop = true
    const tell = () => this.dispatchEvent(new Event('change'))
    for (const name of ['play', 'pause', 'seeked', 'timeupdate', 'ended']) this.#video.addEventListener(name, tell)
  }

  async #start(file) {
    const video = this.#video
    if (!video.captureStream && !video.mozCaptureStream)
      throw new Error(
        'This browser cannot publish a video file. Use Chrome, Edge or Firefox, or send the file with ffmpeg.',
      )
    await loaded(video, file)
    await this.#openAudio()
    await video.play()
    const captured = video.captureStream ? video.captureStream() : video.mozCaptureStream()
    const [track] = captured.getVideoTracks()
    if (!track) throw new Error(unplayable(file))
    const audible = captured.getAudioTracks().length > 0 || video.mozHasAudio === true
    // Without an audio device no context runs; the file's own audio then has no volume to set.
    const audio = audible && this.#gain ? this.#gain.destination.stream.getAudioTracks() : captured.getAudioTracks()
    this.media = new MediaStream([track, ...audio])
  }

  /** The element's own volume does not affect the captured stream (Media Capture from DOM Elements, §4). */
  async #openAudio() {
    const context = new AudioContext()
    this.#context = context
    await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, AUDIO_MS))])
    if (context.state !== 'running') {
      // Browsers play a muted element without a click; the file is then published without audio.
      this.#video.muted = true
      return
    }
    const node = new GainNode(context)
    const destination = new MediaStreamAudioDestinationNode(context)
    context.createMediaElementSource(this.#video).connect(node).connect(destination)
    this.#gain = { node, destination }
  }

  get hasAudio() {
    return (this.media?.getAudioTracks().length ?? 0) > 0
  }

  get playing() {
    return !this.#video.paused
  }

  /** Position in seconds. */
  get time() {
    return this.#video.currentTime
  }

  get duration() {
    return Number.isFinite(this.#video.duration) ? this.#video.duration : 0
  }

  get loop() {
    return this.#video.loop
  }

  set loop(on) {
    this.#video.loop = on
  }

  get hasVolume() {
    return this.hasAudio && this.#gain !== undefined
  }

  /** From 0 to 1. */
  get volume() {
    return this.#gain?.node.gain.value ?? 0
  }

  set volume(share) {
    if (this.#gain) this.#gain.node.gain.value = share
  }

  play() {
    return this.#video.play()
  }

  pause() {
    this.#video.pause()
  }

  seek(seconds) {
    this.#video.currentTime = Math.min(Math.max(0, seconds), this.duration)
  }

  close() {
    this.#video.pause()
    this.#video.removeAttribute('src')
    this.#video.load()
    URL.revokeObjectURL(this.#url)
    for (const track of this.media?.getTracks() ?? []) track.stop()
    if (this.#context && this.#context.state !== 'closed') void this.#context.close()
  }
}

function loaded(video, file) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        reject(new Error(`The browser could not open “${file.name}” within ${OPEN_MS / 1000} s. Try a smaller file.`)),
      OPEN_MS,
    )
    video.addEventListener('error', () => {
      clearTimeout(timer)
      reject(new Error(unplayable(file)))
    })
    video.addEventListener('loadeddata', () => {
      clearTimeout(timer)
      // A file with audio alone is refused.
      if (video.videoWidth > 0) resolve()
      else reject(new Error(unplayable(file)))
    })
    video.load()
  })
}

function unplayable(file) {
  const plays = KINDS.filter(([, type]) => document.createElement('video').canPlayType(type) !== '').map(
    ([name]) => name,
  )
  const type = file.type ? ` (${file.type})` : ''
  const target = `${file.name.replace(/\.[^.]*$/, '')}.mp4`
  return (
    `This browser cannot play “${file.name}”${type}. It plays ${plays.join(', ')}. ` +
    `Convert it: ffmpeg -i '${file.name}' -c:v libx264 -pix_fmt yuv420p -c:a aac '${target}'. Or send it with ffmpeg, as below.`
  )
}
