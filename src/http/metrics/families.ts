/** One line of a metric: label values in the order of its family's `labels`. */
export type Sample = { labels: string[]; value: number }

/** One metric as Prometheus knows it, and how it is read when someone asks. */
export type MetricFamily<Source> = {
  name: string
  help: string
  type: 'gauge' | 'counter'
  labels: string[]
  read(source: Source): Sample[]
}

/** A family whose samples are all of one thing: one number, or none while there is nothing to tell. */
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
