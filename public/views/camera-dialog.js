import { freshId, h } from '../dom.js'
import { icon } from '../icons.js'
import { listDevices, NO_SOUND, openCamera, rememberDevices, rememberedDevices } from '../live/local-media.js'
import { sayError } from '../words.js'

/**
 * Lets the user choose a camera and a microphone and see a preview before publishing. Resolves with the media stream,
 * or undefined if the user cancels. Rejects if there is no camera or access is denied.
 */
export async function chooseCamera() {
  const dialog = new CameraDialog(await openCamera(rememberedDevices()))
  await dialog.listDevices()
  return await dialog.ask()
}

class CameraDialog {
  #media
  #video = h('video', { autoplay: true, playsinline: true, muted: true, 'aria-label': 'Camera preview' })
  #camera = h('select', { id: freshId('camera') })
  #microphone = h('select', { id: freshId('microphone') })
  #trouble = h('p', { class: 'error', role: 'alert', hidden: true })
  #publish = h('button', { class: 'primary', value: 'publish' }, icon('play'), 'Publish')
  #dialog
  /** The newest choice wins, however long a camera takes to start. */
  #choices = 0

  constructor(media) {
    this.#video.muted = true
    for (const select of [this.#camera, this.#microphone]) select.addEventListener('change', () => this.#reopen())
    this.#dialog = h(
      'dialog',
      { class: 'dialog camera-dialog', 'aria-labelledby': 'camera-title' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'camera-title' }, 'Publish from this camera'),
        h('div', { class: 'screen' }, this.#video),
        this.#trouble,
        field('Camera', this.#camera),
        field('Microphone', this.#microphone),
        h(
          'div',
          { class: 'row end' },
          h('button', { type: 'button', onclick: () => this.#dialog.close() }, 'Cancel'),
          this.#publish,
        ),
      ),
    )
    this.#use(media)
  }

  /** Resolves when the dialog closes. */
  async ask() {
    const changed = () => this.listDevices()
    navigator.mediaDevices.addEventListener('devicechange', changed)
    document.body.append(this.#dialog)
    this.#dialog.showModal()
    await new Promise((resolve) => this.#dialog.addEventListener('close', resolve))
    navigator.mediaDevices.removeEventListener('devicechange', changed)
    this.#dialog.remove()
    this.#video.srcObject = null
    this.#choices++
    if (this.#dialog.returnValue === 'publish' && this.#media) {
      rememberDevices({ camera: this.#camera.value, microphone: this.#microphone.value })
      return this.#media
    }
    stop(this.#media)
    return undefined
  }

  async listDevices() {
    const { cameras, microphones } = await listDevices()
    const inUse = (kind) =>
      this.#media
        ?.getTracks()
        .find((track) => track.kind === kind)
        ?.getSettings().deviceId
    fill(this.#camera, cameras, inUse('video'))
    fill(this.#microphone, [...microphones, { id: NO_SOUND, name: 'No audio' }], inUse('audio') ?? NO_SOUND)
  }

  async #reopen() {
    const choice = ++this.#choices
    // Some cameras can be opened only once.
    stop(this.#media)
    this.#use(undefined)
    try {
      const media = await openCamera({ camera: this.#camera.value, microphone: this.#microphone.value })
      if (choice !== this.#choices) return stop(media)
      this.#use(media)
    } catch (error) {
      if (choice === this.#choices) this.#use(undefined, error)
    }
  }

  #use(media, error) {
    this.#media = media
    this.#video.srcObject = media ?? null
    this.#publish.disabled = media === undefined
    this.#trouble.hidden = error === undefined
    this.#trouble.textContent = error ? sayError(error) : ''
  }
}

function field(label, select) {
  return h('div', { class: 'field' }, h('label', { class: 'field-label', for: select.id }, label), select)
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(({ id, name }) => h('option', { value: id }, name)))
  if (options.some(({ id }) => id === chosen)) select.value = chosen
}

function stop(media) {
  for (const track of media?.getTracks() ?? []) track.stop()
}
