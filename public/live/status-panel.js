import { h } from '../dom.js'
import { bitrate, ms } from '../words.js'
import { StateStrip } from './state-strip.js'
import { Tile } from './tile.js'

const IN_AND_OUT = [
  { name: 'in', tone: 'quiet' },
  { name: 'out', tone: 'main' },
]
const STAGES = [
  { name: 'decode', tone: 'first' },
  { name: 'pipeline', tone: 'main' },
  { name: 'encode', tone: 'third' },
]

/** Live figures of a stream with their course over the last two minutes. */
export class StatusPanel {
  element
  #strip = new StateStrip()
  #fps = new Tile('Frames per second', IN_AND_OUT, { least: 10 })
  #latency = new Tile('Added latency', STAGES, { stacked: true, least: 5, unit: 'ms' })
  #losses = new Tile('Dropped frames', [{ name: 'a second', tone: 'loss' }], { bars: true, least: 4, digits: 0 })
  #rate = new Tile('Bitrate', IN_AND_OUT, { least: 500, unit: 'kbit/s', digits: 0 })
  #view = new Tile('Your screen', [{ name: 'frames per second', tone: 'main' }], { least: 10 })
  #lostBefore

  constructor() {
    const tiles = [this.#fps, this.#latency, this.#losses, this.#rate, this.#view, this.#strip]
    this.element = h(
      'section',
      { class: 'panel figures', 'aria-labelledby': 'figures-title' },
      h('div', { class: 'panel-head' }, h('h2', { id: 'figures-title' }, 'How it runs')),
      h(
        'div',
        { class: 'tiles' },
        tiles.map((tile) => tile.element),
      ),
    )
  }

  /** The stream's state, and its status while it has one; once a second. */
  update(state, status) {
    this.#strip.note(state)
    if (!status) return
    const { ingest, egress, inference, latencyMs, dropped } = status
    const input = ingest?.fps ?? 0
    const speeds = [`${input.toFixed(1)} in`, `${inference.fps.toFixed(1)} through the pipeline`]
    this.#fps.show(egress.fps.toFixed(1), 'out', speeds, [input, egress.fps])
    const { decode, pipeline, encode, total } = latencyMs
    const delays = [`95 % under ${ms(total.p95)} ms`, `pipeline ${ms(pipeline.p50)} ms`]
    this.#latency.show(ms(total.p50), 'ms', delays, [decode.p50, pipeline.p50, encode.p50])
    this.#showLosses(dropped, ingest?.lost ?? 0)
    const [rate, unit] = bitrate(egress.kbps).split(' ')
    const viewers = `${egress.viewers} ${egress.viewers === 1 ? 'viewer' : 'viewers'}`
    const rates = [`${bitrate(ingest?.kbps ?? 0)} in`, viewers]
    this.#rate.show(rate, `${unit} out`, rates, [ingest?.kbps ?? 0, egress.kbps])
  }

  /** What this browser measures as a viewer; undefined while nothing plays. */
  updateView(view) {
    if (!view) return this.#view.show('–', '', ['not playing'], [null])
    const network = view.roundTripMs > 0 ? `${ms(view.roundTripMs)} ms network` : 'network delay unknown'
    this.#view.show(view.fps.toFixed(1), 'fps', [`${ms(view.bufferMs)} ms buffer`, network], [view.fps])
  }

  #showLosses(dropped, network) {
    const all = Object.values(dropped).reduce((sum, count) => sum + count, 0) + network
    const now = Math.max(0, all - (this.#lostBefore ?? all))
    this.#lostBefore = all
    const places = [
      [dropped.beforePipeline, 'before the pipeline'],
      [dropped.afterPipeline, 'after it'],
      [dropped.failed ?? 0, 'failed in it'],
      [dropped.viewers, 'by viewers'],
      [network, 'on the way in'],
    ]
    const notes = places.filter(([count]) => count > 0).map(([count, words]) => `${count} ${words}`)
    this.#losses.show(String(all), 'since the start', notes.length > 0 ? notes : ['none'], [now])
  }
}
