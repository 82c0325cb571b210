import { isObject } from './values.js'

const KEY = 'millrace-presets'
const MAX_NAME = 60

/**
 * Presets by name, by pipeline: `{ effects: { Soft: { strength: 0.2 } } }`. Stored data may come from elsewhere, so it
 * is checked.
 */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}')
    return isObject(kept) ? kept : {}
  } catch {
    return {}
  }
}

function write(all) {
  try {
    localStorage.setItem(KEY, JSON.stringify(all))
  } catch (cause) {
    throw new Error('The browser’s storage for this page is full. Delete presets, after an export if you need them.', {
      cause,
    })
  }
}

/** The user's own presets of a pipeline, kept in this browser: params by preset name. */
export function ownPresets(pipeline) {
  const kept = read()[pipeline]
  return isObject(kept) ? Object.fromEntries(Object.entries(kept).filter(([, params]) => isObject(params))) : {}
}

/** Adds presets; one with the same name is replaced. */
export function keepPresets(pipeline, presets) {
  write({ ...read(), [pipeline]: { ...ownPresets(pipeline), ...presets } })
}

export function dropPreset(pipeline, name) {
  const { [name]: _, ...rest } = ownPresets(pipeline)
  write({ ...read(), [pipeline]: rest })
}

/**
 * The presets as a file that another browser can import; its `presets` can be copied into a package manifest as they
 * are.
 */
export function presetsFile(pipeline) {
  return `${JSON.stringify({ pipeline, presets: ownPresets(pipeline) }, null, 2)}\n`
}

/** Reads the presets from the text of such a file. Throws an error that says what is wrong with it. */
export function presetsOf(text, pipeline) {
  let given
  try {
    given = JSON.parse(text)
  } catch (cause) {
    throw new Error(`The file is not JSON: ${cause.message}. Export presets to see the format.`, { cause })
  }
  const form = 'Expected {"pipeline": "…", "presets": {"name": {"param": value}}}, as an export produces.'
  if (!isObject(given) || !isObject(given.presets)) throw new Error(`The file holds no presets. ${form}`)
  if (given.pipeline !== undefined && given.pipeline !== pipeline)
    throw new Error(`The file holds presets of the pipeline “${given.pipeline}”; this stream runs “${pipeline}”.`)
  const entries = Object.entries(given.presets)
  const wrong = entries.find(([name, params]) => !isObject(params) || name.trim() === '' || name.length > MAX_NAME)
  if (wrong) throw new Error(`The preset “${wrong[0]}” is invalid. ${form}`)
  if (entries.length === 0) throw new Error('The file holds no presets.')
  return given.presets
}
