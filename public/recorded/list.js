import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { notify } from '../notices.js'
import { millrace, token } from '../session.js'
import { fileSize, sayError } from '../words.js'

const GROWING_EVERY_MS = 2000
const MOST = 100
/** Long enough for the browser to have started saving it. */
const HELD_MS = 60_000

/** Recorded files to download, newest first, of one stream or of all. */
export class RecordingList {
  element
  /** Called when the list changes. */
  onChange = () => {}
  /** Whether a new file may appear at any time. */
  expecting = false
  #stream
  #signal
  #rows = new Map()
  #list = h('ul', { class: 'recordings' })
  #empty = h('p', { class: 'muted' }, 'No recordings yet. Files are kept on the server and listed here.')
  #timer

  constructor({ stream, signal }) {
    this.#stream = stream
    this.#signal = signal
    this.element = h('div', {}, this.#empty, this.#list)
    signal.addEventListener('abort', () => clearTimeout(this.#timer))
    void this.refresh()
  }

  get empty() {
    return this.#rows.size === 0
  }

  async refresh() {
    clearTimeout(this.#timer)
    let files
    try {
      files = await millrace.recordings({ signal: this.#signal })
    } catch {
      return
    }
    if (this.#signal.aborted) return
    const shown = files.filter(({ stream }) => this.#stream === undefined || stream === this.#stream).slice(0, MOST)
    this.#show(shown)
    if (this.expecting || shown.some(({ growing }) => growing))
      this.#timer = setTimeout(() => void this.refresh(), GROWING_EVERY_MS)
  }

  /** Rows are reused so that focus is kept. */
  #show(files) {
    const before = [...this.#rows.keys()].join()
    for (const [name, row] of this.#rows) {
      if (files.some(({ file }) => file === name)) continue
      row.element.remove()
      this.#rows.delete(name)
    }
    for (const file of files.toReversed()) {
      if (!this.#rows.has(file.file)) {
        const row = new Row(file, this.#stream === undefined)
        this.#rows.set(file.file, row)
        this.#list.prepend(row.element)
      }
      this.#rows.get(file.file).update(file)
    }
    this.#empty.hidden = files.length > 0
    if ([...this.#rows.keys()].join() !== before) this.onChange()
  }
}

class Row {
  element
  #facts = h('span', { class: 'muted small' })
  #growing = h('span', { class: 'pill bad' }, 'Recording')

  constructor({ file, stream, startedAt }, named) {
    const begun = new Date(startedAt)
    const title = begun.toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium', hour12: false })
    const link = h(
      'a',
      {
        class: 'button small',
        href: hrefOf(file),
        download: file,
        'aria-label': `Download ${file}`,
        onclick: (event) => void download(event, file),
      },
      icon('download'),
      'Download',
    )
    this.element = h(
      'li',
      {},
      h(
        'span',
        { class: 'recording-name' },
        named && h('strong', {}, `${stream} `),
        h('time', { datetime: begun.toISOString() }, title),
      ),
      this.#growing,
      this.#facts,
      link,
    )
  }

  update({ bytes, growing }) {
    this.#growing.hidden = !growing
    setText(this.#facts, fileSize(bytes))
  }
}

const hrefOf = (file) => `recordings/${encodeURIComponent(file)}`

/** A link sends no token: where watching requires one, the file is fetched with it and then saved. */
async function download(event, file) {
  if (!token()) return
  event.preventDefault()
  const path = hrefOf(file)
  try {
    const open = (await fetch(path, { method: 'HEAD' })).status !== 401
    const href = open ? path : URL.createObjectURL(await (await millrace.send('GET', path)).blob())
    h('a', { href, download: file }).click()
    if (!open) setTimeout(() => URL.revokeObjectURL(href), HELD_MS)
  } catch (error) {
    notify(sayError(error), 'bad')
  }
}
