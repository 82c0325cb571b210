import { ApiError, Unreachable } from './api.js'

/** What the states mean to a person: a word, a sentence with what to do, and a tone for the colour. */
export const STATES = {
  ONLINE: { word: 'Live', tone: 'good', text: 'Frames go through the pipeline and out.' },
  LOADING: {
    word: 'Loading',
    tone: 'busy',
    text: 'The pipeline is getting ready. Viewers see the overlay meanwhile.',
  },
  DEGRADED_INPUT: {
    word: 'Weak input',
    tone: 'warn',
    text: 'Few frames arrive. Check the network and the load of whoever publishes.',
  },
  DEGRADED_INFERENCE: {
    word: 'Pipeline slow',
    tone: 'warn',
    text: 'The pipeline keeps up with only a part of the frames; the newest win. A smaller resolution or a lower frame rate helps.',
  },
  ERROR: {
    word: 'Failed',
    tone: 'bad',
    text: 'The pipeline does not run. Viewers see a notice; the events below say why.',
  },
  OFFLINE: { word: 'Waiting', tone: 'idle', text: 'Nobody publishes to this stream at the moment.' },
  ENDED: { word: 'Ended', tone: 'idle', text: 'The stream has ended.' },
}

export const stateWords = (state) => STATES[state] ?? { word: state, tone: 'idle', text: '' }

const MEDIA_ERRORS = {
  NotAllowedError:
    'The browser was not allowed to use it. Allow camera and microphone for this page (the icon beside the address), then try again.',
  NotFoundError: 'No camera or microphone was found. Connect one, or use the test pattern.',
  NotReadableError: 'The camera is in use by another program. Close that one, then try again.',
  OverconstrainedError:
    'The camera cannot give this resolution or frame rate. Try another camera, or the test pattern.',
}

/** An error in words, with what to do. */
export function sayError(error) {
  if (error instanceof Unreachable)
    return 'The server does not answer. Check that it runs; this page tries again by itself.'
  if (error instanceof ApiError) return sayAnswer(error)
  return MEDIA_ERRORS[error?.name] ?? sentence(error?.message ?? String(error))
}

function sayAnswer(error) {
  if (error.status === 401) return 'This needs a token. Press “Token” at the top and enter it.'
  if (error.status === 503) {
    const wait = error.retryAfterSeconds ? ` Try again in ${error.retryAfterSeconds} s, or stop another stream.` : ''
    return `${sentence(error.message)}${wait}`
  }
  const fields = error.errors.map(({ path, message }) => (path ? `${path.slice(1)}: ${message}` : message))
  return [sentence(error.message), ...fields.map(sentence)].join(' ')
}

/** Begins with a capital and ends with a stop. */
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

export const ms = (value) => (value >= 100 ? `${Math.round(value)}` : value.toFixed(1))
