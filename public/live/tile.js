import { h, setText } from '../dom.js'
import { TimeChart } from './charts.js'

/** One figure, what belongs to it in small, and its chart. */
export class Tile {
  element
  #value = h('span', { class: 'tile-value' }, '–')
  #unit = h('span', { class: 'tile-unit' })
  #notes = h('span', { class: 'tile-notes' })
  #chart

  constructor(title, series, options) {
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
    )
  }

  /** `samples` are the chart's next values, one for each series, null where there is none. */
  show(value, unit, notes, samples) {
    setText(this.#value, value)
    setText(this.#unit, unit)
    setText(this.#notes, notes.join(' · '))
    this.#chart.push(samples)
  }
}
