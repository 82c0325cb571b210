import { h } from '../dom.js'
import { icon } from '../icons.js'
import { openScreen } from '../live/local-media.js'
import { publications } from '../live/publications.js'
import { notify } from '../notices.js'
import { sayError } from '../words.js'
import { chooseCamera } from './camera-dialog.js'

/**
 * The ways to publish from the page. `start(name, pipeline)` resolves with false when the user thought better of it, and
 * rejects with what is in the way.
 */
export const WAYS = {
  test: { text: 'Test pattern', icon: 'play', start: (name, pipeline) => publications.startTest(name, pipeline) },
  camera: {
    text: 'Use camera',
    icon: 'camera',
    start: (name, pipeline) => publish(name, pipeline, 'camera', chooseCamera),
  },
  screen: {
    text: 'Share screen',
    icon: 'screen',
    start: (name, pipeline) => publish(name, pipeline, 'screen', openScreen),
  },
}

/**
 * A button for one of them. `what()` gives `{ name, pipeline }`, or undefined when there is nothing to start; `done(name)`
 * is called when it runs.
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
      if ((await start(wanted.name, wanted.pipeline)) !== false) done?.(wanted.name)
    } catch (error) {
      notify(sayError(error), 'bad')
    } finally {
      button.removeAttribute('aria-busy')
      button.disabled = false
    }
  })
  return button
}

async function publish(name, pipeline, kind, open) {
  const media = await open()
  if (!media) return false
  await publications.startMedia(name, pipeline, kind, media)
}
