import { h, svg } from '../dom.js'
import { duration } from '../words.js'

const WIDTH = 240
const HEIGHT = 64
/** Number of samples shown, one per second. */
export const CHART_SECONDS = 300

/**
 * A small chart of the last five minutes. `series` are `{ name, tone }`, drawn as lines, as areas on top of each other
 * (`stacked`) or as `bars`. `least` is the smallest top value, so that noise around zero does not fill the chart.
 */
export class TimeChart {
  element
  #series
  #options
  #samples = []
  #paths
  #top
  #cursor
  #readout

  constructor(title, series, options = {}) {
    this.#series = series
    this.#options = { least: 1, unit: '', digits: 1, ...options }
    this.#paths = series.map(({ tone }) => svg('path', { class: `plot ${tone} ${this.#kind()}` }))
    this.#cursor = svg('line', { class: 'cursor', y1: 0, y2: HEIGHT })
    this.#top = h('span', { class: 'chart-top', 'aria-hidden': 'true' })
    this.#readout = h('span', { class: 'chart-readout', hidden: true, 'aria-hidden': 'true' })
    const plot = svg(
      'svg',
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      svg('line', { class: 'base', x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }),
      svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }),
      this.#paths,
      this.#cursor,
    )
    this.element = h(
      'div',
      {
        class: 'chart',
        role: 'img',
        'aria-label': title,
        onpointermove: (event) => this.#point(event),
        onpointerleave: () => this.#unpoint(),
      },
      plot,
      this.#top,
      this.#readout,
    )
    this.title = title
  }

  /** Adds samples from before the page was opened, oldest first; the page's own samples stay. */
  precede(samples) {
    this.#samples = [...samples, ...this.#samples].slice(-CHART_SECONDS)
    this.#draw()
  }

  /** Adds one value per series; null for none. */
  push(values) {
    this.#samples.push(values)
    if (this.#samples.length > CHART_SECONDS) this.#samples.shift()
    this.#draw()
  }

  #kind() {
    return this.#options.stacked ? 'area' : this.#options.bars ? 'bars' : 'line'
  }

  #draw() {
    const { stacked, bars, least, unit } = this.#options
    const rows = stacked ? this.#samples.map(stack) : this.#samples
    const top = roundUp(Math.max(least, ceiling(rows.flat().filter((value) => value !== null)) * 1.05))
    const x = (index) => ((CHART_SECONDS - rows.length + index) * WIDTH) / (CHART_SECONDS - 1)
    const y = (value) => HEIGHT - Math.min(1, value / top) * (HEIGHT - 4)
    for (const [which, path] of this.#paths.entries()) {
      const points = rows.flatMap((row, index) => (row[which] === null ? [] : [[x(index), y(row[which])]]))
      if (bars) path.setAttribute('d', barsPath(points))
      else if (stacked) {
        const below = rows.map((row, index) => [x(index), y(which === 0 ? 0 : (row[which - 1] ?? 0))])
        path.setAttribute('d', areaPath(points, below))
      } else path.setAttribute('d', linePath(points))
    }
    this.#top.textContent = `${top}${unit && ` ${unit}`}`
    const last = this.#samples.at(-1) ?? []
    const now = this.#series.map(({ name }, which) => `${name} ${this.#say(last[which])}`)
    this.element.setAttribute('aria-label', `${this.title}: ${now.join(', ')}`)
  }

  #say(value) {
    if (value === null || value === undefined) return 'none'
    const { digits, unit } = this.#options
    return `${value.toFixed(digits)}${unit && ` ${unit}`}`
  }

  #point(event) {
    const box = this.element.getBoundingClientRect()
    const at = Math.round(((event.clientX - box.left) / box.width) * (CHART_SECONDS - 1))
    const sample = this.#samples[at - (CHART_SECONDS - this.#samples.length)]
    if (!sample) return this.#unpoint()
    const x = (at * WIDTH) / (CHART_SECONDS - 1)
    this.#cursor.setAttribute('x1', x)
    this.#cursor.setAttribute('x2', x)
    this.#cursor.classList.add('on')
    this.#readout.hidden = false
    this.#readout.classList.toggle('left', at > CHART_SECONDS / 2)
    const ago = CHART_SECONDS - 1 - at
    const values = this.#series.map(({ name }, which) => `${name} ${this.#say(sample[which])}`)
    this.#readout.textContent = `${ago === 0 ? 'now' : `${duration(ago * 1000)} ago`} · ${values.join(' · ')}`
  }

  #unpoint() {
    this.#cursor.classList.remove('on')
    this.#readout.hidden = true
  }
}

function stack(values) {
  let sum = 0
  return values.map((value) => {
    sum += value ?? 0
    return sum
  })
}

/** The highest value, or twice the 90th percentile: one peak must not flatten the rest. */
export function ceiling(values) {
  const sorted = values.toSorted((a, b) => a - b)
  return Math.min(sorted.at(-1) ?? 0, 2 * (sorted[Math.floor(sorted.length * 0.9)] ?? 0))
}

/** Rounds up to 1, 1.2, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * 0.999) ?? 10
  return Number((step * power).toPrecision(3))
}

const pair = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`

function linePath(points) {
  return points.length > 0 ? `M${points.map(pair).join('L')}` : ''
}

function areaPath(points, below) {
  return points.length > 0 ? `M${[...points, ...below.toReversed()].map(pair).join('L')}Z` : ''
}

function barsPath(points) {
  return points
    .filter(([, y]) => y < HEIGHT)
    .map(([x, y]) => `M${x.toFixed(1)} ${HEIGHT}V${Math.min(y, HEIGHT - 2).toFixed(1)}`)
    .join('')
}
