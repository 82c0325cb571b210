/** The median of repeated measurements, with the lowest and the highest. */
export type Summary = { median: number; low: number; high: number; count: number }

/** Linear between neighbours; NaN without values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * q
  const low = sorted[Math.floor(at)]
  const high = sorted[Math.ceil(at)]
  return low === undefined || high === undefined ? Number.NaN : low + (high - low) * (at - Math.floor(at))
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

function summarize(values: readonly number[]): Summary {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values), count: values.length }
}

export type Percentiles = { p50: number; p95: number; p99: number; count: number }

export function percentiles(values: readonly number[]): Percentiles {
  const at = (q: number) => quantile(values, q)
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), count: values.length }
}

/** Least-squares slope in y per x; 0 for fewer than two points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (index: 0 | 1) => points.reduce((sum, point) => sum + point[index], 0) / points.length
  const [mx, my] = [mean(0), mean(1)]
  const over = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0)
  const under = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
  return under > 0 ? over / under : 0
}

/** The same through the medians of parts of the x axis, so that outliers do not count. */
export function slopeOfMedians(points: readonly (readonly [x: number, y: number])[], part: number): number {
  const parts = Map.groupBy(points, ([x]) => Math.floor(x / part))
  // The first and the last part may have only a few points.
  const whole = [...parts.values()].filter((part, _, all) => part.length > median(all.map(({ length }) => length)) / 2)
  return slope(whole.map((part) => [median(part.map(([x]) => x)), median(part.map(([, y]) => y))] as const))
}

/**
 * Ratios of alternating measurements, each to its neighbour in time, so that changes of the machine's speed cancel out.
 */
export function ratios(values: readonly number[], baselines: readonly number[]): number[] {
  return values.flatMap((value, i) => {
    const baseline = baselines[i]
    return baseline === undefined || baseline === 0 ? [] : [value / baseline]
  })
}

/** `1.23 (1.20 to 1.31)`, or the median alone for a single value. */
export function spread(values: readonly number[], digits = 2): string {
  if (values.length === 0) return '-'
  const { median, low, high } = summarize(values)
  if (values.length === 1) return median.toFixed(digits)
  return `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`
}
