import { h } from '../dom.js'
import { icon } from '../icons.js'
import { FileSource } from '../live/file-source.js'
import { openScreen } from '../live/local-media.js'
import { publications } from '../live/publications.js'
import { notify } from '../notices.js'
import { sayError } from '../words.js'
import { chooseCamera } from './camera-dialog.js'

/**
 * The ways to publish from the page. `start(name, pipeline, params)` resolves with false if the user cancels, and
 * rejects if it fails.
 */
export const WAYS = {
  test: { text: 'Test pattern', icon: 'play', start: (...what) => publications.startTest(...what) },
  file: { text: 'Choose a video', icon: 'film', start: chooseFile },
  camera: {
    text: 'Use camera',
    icon: 'camera',
    start: (...what) => publish('camera', chooseCamera, ...what),
  },
  screen: {
    text: 'Share screen',
    icon: 'screen',
    start: (...what) => publish('screen', openScreen, ...what),
  },
}

/**
 * A button for one of them. `what()` returns `{ name, pipeline, params?, refused? }`, or undefined if nothing can be
 * started; `done(name)` is called once it runs. `refused(error)` resolves with true if it showed the error.
 */
export function wayButton(way, look, what, done) {
  const { text, icon: iconName, start } = WAYS[way]
  const button = h('button', { type: 'button', class: look }, icon(iconName), text)
  button.addEventListener('click', async () => {
    const wanted = what()
    if (!wanted) return
    button.setAttribute('aria-busy', 'true')
    button.disabled = true
    try {
      if ((await start(wanted.name, wanted.pipeline, wanted.params)) !== false) done?.(wanted.name)
    } catch (error) {
      await report(error, wanted)
    } finally {
      button.removeAttribute('aria-busy')
      button.disabled = false
    }
  })
  return button
}

async function report(error, { refused }) {
  if (!(await refused?.(error))) notify(sayError(error), 'bad')
}

async function publish(kind, open, ...what) {
  const media = await open()
  if (!media) return false
  await publications.startMedia(kind, media, ...what)
}

async function chooseFile(...what) {
  const file = await new Promise((resolve) => {
    const input = h('input', { type: 'file', accept: 'video/*,.mkv', 'data-role': 'video-file' })
    input.addEventListener('change', () => resolve(input.files[0]))
    input.addEventListener('cancel', () => resolve(undefined))
    input.click()
  })
  if (!file) return false
  await publishFile(file, ...what)
}

/** Plays a video file into a stream. Rejects if the browser cannot play or publish it. */
async function publishFile(file, ...what) {
  await publications.startFile(await FileSource.open(file), ...what)
}

/**
 * Accepts a video file dropped on an element. `what()` and `done(name)` are as for a button.
 */
export function takesDrops(element, what, done) {
  const carriesFile = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes('Files')
  let over = 0
  const mark = (change) => {
    over = Math.max(0, over + change)
    element.classList.toggle('dropping', over > 0)
  }
  element.addEventListener('dragenter', (event) => carriesFile(event) && mark(1))
  element.addEventListener('dragleave', (event) => carriesFile(event) && mark(-1))
  element.addEventListener('dragover', (event) => carriesFile(event) && event.preventDefault())
  element.addEventListener('drop', async (event) => {
    mark(-over)
    // File fields in the params form handle their own drops.
    if (!carriesFile(event) || event.defaultPrevented) return
    event.preventDefault()
    const [file] = event.dataTransfer.files
    const wanted = file && what()
    if (!wanted) return
    notify(`Opening “${file.name}”…`)
    try {
      await publishFile(file, wanted.name, wanted.pipeline, wanted.params)
      done?.(wanted.name)
    } catch (error) {
      await report(error, wanted)
    }
  })
}
