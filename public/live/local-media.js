const KEY = 'millrace-devices'
const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 60 } }
/** Stands for “no microphone” in place of an id. */
export const NO_SOUND = 'none'

/** The screen, a window or a tab, as the user chooses in the browser's dialog. @returns {Promise<MediaStream>} */
export async function openScreen() {
  return await devices().getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio: true })
}

/**
 * A camera and a microphone by id. An id that is missing or was never chosen is replaced by the browser's default.
 * @returns {Promise<MediaStream>}
 */
export async function openCamera({ camera, microphone } = {}) {
  const video = { ...VIDEO, ...(camera && { deviceId: { exact: camera } }) }
  const audio = microphone === NO_SOUND ? false : microphone ? { deviceId: { exact: microphone } } : true
  try {
    return await devices().getUserMedia({ video, audio })
  } catch (error) {
    if (error.name === 'OverconstrainedError' && (camera || microphone)) return await openCamera()
    // A camera without a microphone is still useful.
    if (audio === false || error.name !== 'NotFoundError') throw error
    return await devices().getUserMedia({ video })
  }
}

/** Cameras and microphones. Browsers give their names only after one of them was opened. */
export async function listDevices() {
  const all = await devices().enumerateDevices()
  const named = (kind, word) =>
    all
      .filter((device) => device.kind === kind && device.deviceId)
      .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `${word} ${index + 1}` }))
  return { cameras: named('videoinput', 'Camera'), microphones: named('audioinput', 'Microphone') }
}

/** The last choice: `{ camera, microphone }`, ids or undefined. */
export const rememberedDevices = () => JSON.parse(localStorage.getItem(KEY) ?? '{}')
export const rememberDevices = (choice) => localStorage.setItem(KEY, JSON.stringify(choice))

function devices() {
  if (navigator.mediaDevices) return navigator.mediaDevices
  throw new Error(
    'browsers allow cameras and screen sharing only on https:// or localhost: open this page there, or use the test pattern',
  )
}
