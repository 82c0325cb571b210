import { ApiError, UnreachableError } from './client/index.js'

/** State names as shown to the user: a word, a sentence that says what to do, and a tone for the colour. */
export const STATES = {
  ONLINE: { word: 'Live', tone: 'good', text: 'Frames pass through the pipeline to the viewers.' },
  LOADING: {
    word: 'Loading',
    tone: 'busy',
    text: 'The pipeline is loading. Viewers see the overlay until it is ready.',
  },
  DEGRADED_INPUT: {
    word: 'Weak input',
    tone: 'warn',
    text: 'Frames arrive late or not at all. Check the publisher’s network and CPU load.',
  },
  DEGRADED_INFERENCE: {
    word: 'Pipeline slow',
    tone: 'warn',
    text: 'The pipeline is too slow and skips frames. Lower the resolution or the frame rate.',
  },
  ERROR: {
    word: 'Failed',
    tone: 'bad',
    text: 'The pipeline is not running. Viewers see a notice; the events below give the cause.',
  },
  OFFLINE: { word: 'Waiting', tone: 'idle', text: 'Nobody is publishing to this stream.' },
  ENDED: { word: 'Ended', tone: 'idle', text: 'The stream has ended.' },
}

export const stateWords = (state) => STATES[state] ?? { word: state, tone: 'idle', text: '' }

const MEDIA_ERRORS = {
  NotAllowedError:
    'The browser denied access. Allow camera and microphone for this page (the icon beside the address), then try again.',
  NotFoundError: 'No camera or microphone was found. Connect one, or use the test pattern.',
  NotReadableError: 'Another program is using the camera. Close it, then try again.',
  OverconstrainedError:
    'The camera does not support this resolution or frame rate. Try another camera or the test pattern.',
}

/** Describes an error and what to do about it. */
export function sayError(error) {
  if (error instanceof UnreachableError)
    return 'The server does not answer. Check that it is running; this page retries automatically.'
  if (error instanceof ApiError) return sayAnswer(error)
  return MEDIA_ERRORS[error?.name] ?? sentence(error?.message ?? String(error))
}

/** What to do about a server error, by error code or, where the code is too general, by HTTP status. */
const NEXT_STEPS = {
  413: 'Send a smaller request or file, or raise MAX_BODY_BYTES on the server.',
  429: 'Too many requests from this address. Wait a minute, then try again.',
  'pipeline-failed':
    'The events below and the server log give the cause; “millrace doctor” checks the machine. You can choose another pipeline.',
  'ffmpeg-failed': 'The server log has ffmpeg’s output; “millrace doctor” checks which encoders work.',
  'unsupported-media': 'Send H.264, VP8 or another codec that the message lists.',
  timeout: 'Try again. If it keeps happening, the server is overloaded.',
  internal: 'This is a bug in the server; its log has the details. Try again, and report the bug if it happens again.',
}

function sayAnswer(error) {
  if (error.status === 401) return 'A token is required. Press “Token” at the top and enter it.'
  if (error.status === 503) {
    const wait = error.retryAfterSeconds ? ` Try again in ${error.retryAfterSeconds} s, or stop another stream.` : ''
    return `${sentence(error.message)}${wait}`
  }
  const fields = error.errors.map(({ path, message }) => (path ? `${path.slice(1)}: ${message}` : message))
  const next = fields.length === 0 ? (NEXT_STEPS[error.status] ?? NEXT_STEPS[error.code]) : undefined
  return [sentence(error.message), ...fields.map(sentence), next].filter(Boolean).join(' ')
}

/** Capitalizes the text and ends it with a full stop. */
export function sentence(text) {
  const trimmed = text.trim()
  if (trimmed === '') return ''
  const whole = trimmed[0].toUpperCase() + trimmed.slice(1)
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`
}

/** `show_reloading_frame` becomes “Show reloading frame”. */
export function label(name) {
  const words = name
    .replaceAll(/[_-]+/g, ' ')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .trim()
  return words === '' ? name : words[0].toUpperCase() + words.slice(1)
}

/** `1:02:03`, or `2:03` below an hour. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const pad = (value) => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`
}

export function bitrate(kbps) {
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(1)} Mbit/s` : `${Math.round(kbps)} kbit/s`
}

/** `12.3 MB`, in powers of ten. */
export function fileSize(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e3)} kB`
}

export const ms = (value) => (value >= 100 ? `${Math.round(value)}` : value.toFixed(1))
