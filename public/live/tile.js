import { h, setText } from '../dom.js'
import { TimeChart } from './charts.js'

/** A figure with notes, a chart, and `about`: what the figure means. */
export class Tile {
  element
  #value = h('span', { class: 'tile-value' }, '–')
  #unit = h('span', { class: 'tile-unit' })
  #notes = h('span', { class: 'tile-notes' })
  #chart

  constructor(title, series, { about, ...options }) {
    this.#chart = new TimeChart(title, series, options)
    const keys = series.map(({ name, tone }) => h('span', { class: tone }, name))
    this.element = h(
      'div',
      { class: 'tile' },
      h(
        'div',
        { class: 'tile-head' },
        h('h3', {}, title),
        series.length > 1 && h('span', { class: 'legend', 'aria-hidden': 'true' }, keys),
      ),
      h('p', { class: 'tile-figure' }, this.#value, ' ', this.#unit),
      this.#chart.element,
      this.#notes,
      h('p', { class: 'tile-about' }, about),
    )
  }

  /** Adds samples from before the page was opened. */
  precede(samples) {
    this.#chart.precede(samples)
  }

  /** `samples` are the chart's next values, one per series, null for none. */
  show(value, unit, notes, samples) {
    setText(this.#value, value)
    setText(this.#unit, unit)
    setText(this.#notes, notes.join(' · '))
    this.#chart.push(samples)
  }
}
