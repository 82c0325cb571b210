/** One line of a metric: label values in the order of its family's `labels`. */
export type Sample = { labels: string[]; value: number }

/** A Prometheus metric, and how to read its samples. */
export type MetricFamily<Source> = {
  name: string
  help: string
  type: 'gauge' | 'counter'
  labels: string[]
  read(source: Source): Sample[]
}

/** A family with a single sample, or none while there is no value. */
export function single<Source>(
  type: MetricFamily<Source>['type'],
  name: string,
  help: string,
  read: (source: Source) => number | undefined,
): MetricFamily<Source> {
  return {
    name,
    help,
    type,
    labels: [],
    read: (source) => {
      const value = read(source)
      return value === undefined ? [] : [{ labels: [], value }]
    },
  }
}
