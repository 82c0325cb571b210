// Charts as SVG, readable as text as well.

export type Series = { name: string; points: [x: number, y: number][] }
export type Plot =
  | { kind: 'lines'; name: string; title: string; x: string; y: string; series: Series[] }
  | {
      kind: 'bars'
      name: string
      title: string
      y: string
      bars: { name: string; value: number; low?: number; high?: number }[]
    }

const WIDTH = 720
const HEIGHT = 320
const LEFT = 64
const RIGHT = 16
const TOP = 40
const BOTTOM = 56
const COLOURS = ['#2563eb', '#dc2626', '#059669', '#d97706', '#7c3aed', '#0891b2', '#be185d', '#4b5563']

const escaped = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
const text = (x: number, y: number, words: string, more = '') =>
  `<text x="${x}" y="${y}" ${more}>${escaped(words)}</text>`
const fixed = (n: number) => (Number.isFinite(n) ? n.toFixed(1) : '0')

/** A standalone chart; its background is white, so that it can be read on a dark page. */
export function drawPlot(plot: Plot): string {
  const body = plot.kind === 'lines' ? lines(plot) : bars(plot)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11" fill="#374151">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 18, plot.title, 'font-size="14" font-weight="bold"'),
    ...body,
    '</svg>\n',
  ].join('\n')
}

function lines({ series, x, y }: Extract<Plot, { kind: 'lines' }>): string[] {
  const points = series.flatMap((one) => one.points)
  const xs = scale([Math.min(...points.map(([at]) => at)), Math.max(...points.map(([at]) => at))], LEFT, WIDTH - RIGHT)
  const ys = scale([0, Math.max(...points.map(([, value]) => value))], HEIGHT - BOTTOM, TOP)
  const paths = series.map(({ points }, i) => {
    const path = points.map(([at, value]) => `${fixed(xs.at(at))},${fixed(ys.at(value))}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${colour(i)}" stroke-width="1.5"/>`
  })
  const ticks = xs.ticks.map((tick) => text(xs.at(tick), HEIGHT - BOTTOM + 16, label(tick), 'text-anchor="middle"'))
  return [
    ...axis(ys, y),
    ...ticks,
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 22, x, 'text-anchor="middle"'),
    ...paths,
    ...legend(series),
  ]
}

function bars({ bars, y }: Extract<Plot, { kind: 'bars' }>): string[] {
  const ys = scale([0, Math.max(...bars.map(({ value, high }) => high ?? value))], HEIGHT - BOTTOM, TOP)
  const step = (WIDTH - LEFT - RIGHT) / bars.length
  const drawn = bars.flatMap(({ name, value, low, high }, i) => {
    const middle = LEFT + (i + 0.5) * step
    const width = Math.min(60, step * 0.6)
    const top = ys.at(value)
    const rect = `<rect x="${fixed(middle - width / 2)}" y="${fixed(top)}" width="${fixed(width)}" height="${fixed(HEIGHT - BOTTOM - top)}" fill="${colour(i)}"/>`
    const range =
      low === undefined || high === undefined
        ? []
        : [
            `<path d="M${fixed(middle)} ${fixed(ys.at(low))}V${fixed(ys.at(high))}" stroke="#111827" stroke-width="1.5"/>`,
          ]
    // Long names alternate between two lines, so that neighbours do not overlap.
    const under = text(middle, HEIGHT - BOTTOM + 16 + (bars.length > 6 && i % 2 ? 14 : 0), name, 'text-anchor="middle"')
    return [rect, ...range, under, text(middle, top - 5, label(value), 'text-anchor="middle"')]
  })
  return [...axis(ys, y), ...drawn]
}

type Scale = { at(value: number): number; ticks: number[] }

/** Maps values to coordinates, with round numbers for the grid. */
function scale([min, max]: [number, number], from: number, to: number): Scale {
  const span = max > min ? max - min : 1
  const rough = span / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((n) => n * power >= rough) ?? 10)
  const top = Math.ceil((min + span) / step - 1e-9) * step
  const bottom = Math.floor(min / step + 1e-9) * step
  const ticks = Array.from({ length: Math.round((top - bottom) / step) + 1 }, (_, i) => bottom + i * step)
  return { at: (value) => from + ((value - bottom) / (top - bottom)) * (to - from), ticks }
}

function axis(ys: Scale, name: string): string[] {
  const rows = ys.ticks.flatMap((tick) => [
    `<path d="M${LEFT} ${fixed(ys.at(tick))}H${WIDTH - RIGHT}" stroke="#e5e7eb"/>`,
    text(LEFT - 6, ys.at(tick) + 4, label(tick), 'text-anchor="end"'),
  ])
  const middle = (TOP + HEIGHT - BOTTOM) / 2
  return [...rows, text(14, middle, name, `text-anchor="middle" transform="rotate(-90 14 ${middle})"`)]
}

function legend(series: Series[]): string[] {
  let x = LEFT
  return series.flatMap(({ name }, i) => {
    const at = x
    x += 26 + name.length * 6.2
    return [
      `<rect x="${at}" y="${HEIGHT - 14}" width="10" height="10" fill="${colour(i)}"/>`,
      text(at + 14, HEIGHT - 5, name),
    ]
  })
}

const colour = (i: number) => COLOURS[i % COLOURS.length]!

function label(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
