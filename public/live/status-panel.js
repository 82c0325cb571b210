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

const LOSSES = [{ name: 'a second', tone: 'loss' }]
const SCREEN = [{ name: 'frames per second', tone: 'main' }]

/** What each figure means, shown beside it. */
const ABOUT = {
  fps: 'Received from the publisher, returned by the pipeline, and sent to viewers, averaged over the last seconds.',
  latency:
    'Median delay added by the server: decoding, pipeline and encoding. Network and viewer buffer are not included.',
  losses:
    'Before the pipeline: replaced by a newer frame while waiting. After it: too late to be shown. For viewers: skipped because a viewer’s network is slow. On the way in: lost packets.',
  rate: 'Video from the publisher, and encoded output; every viewer gets the same output.',
  view: 'Frame rate shown in this browser, time a frame waits in its buffer, and round-trip time to the server.',
}

/** A server time on this machine's clock, in ms since 1970, as far as the two clocks agree. */
const here = (time) => (time === undefined ? undefined : Math.min(Date.now(), Date.parse(time)))

/** Live figures of a stream and their last five minutes. */
export class StatusPanel {
  element
  #strip = new StateStrip()
  #fps = new Tile('Frames per second', IN_AND_OUT, { least: 10, about: ABOUT.fps })
  #latency = new Tile('Added latency', STAGES, { stacked: true, least: 5, unit: 'ms', about: ABOUT.latency })
  #losses = new Tile('Dropped frames', LOSSES, { bars: true, least: 4, digits: 0, about: ABOUT.losses })
  #rate = new Tile('Bitrate', IN_AND_OUT, { least: 500, unit: 'kbit/s', digits: 0, about: ABOUT.rate })
  #view = new Tile('Your screen', SCREEN, { least: 10, about: ABOUT.view })
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

  /** Takes the stream's state, and its status while it has one; called once a second. */
  update(state, status) {
    this.#strip.note(state, here(status?.stateSince))
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

  /**
   * Fills the charts with the server's record of the time before the page was opened (`GET /streams/{stream}/history`).
   */
  precede({ states, samples }) {
    const rows = (...columns) => columns[0].map((_, index) => columns.map((column) => column[index]))
    const { ingestFps, egressFps, ingestKbps, egressKbps, decodeMs, pipelineMs, encodeMs, dropped } = samples
    this.#strip.precede(states.map(({ state, since }) => ({ state, from: here(since) })))
    this.#fps.precede(rows(ingestFps, egressFps))
    this.#rate.precede(rows(ingestKbps, egressKbps))
    this.#latency.precede(rows(decodeMs, pipelineMs, encodeMs))
    this.#losses.precede(dropped.map((all, index) => [Math.max(0, all - (dropped[index - 1] ?? all))]))
  }

  /** Takes the viewer statistics of this browser; undefined while nothing plays. */
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
      [dropped.viewers, 'for viewers'],
      [network, 'on the way in'],
    ]
    const notes = places.filter(([count]) => count > 0).map(([count, words]) => `${count} ${words}`)
    this.#losses.show(String(all), 'since the start', notes.length > 0 ? notes : ['none'], [now])
  }
}
