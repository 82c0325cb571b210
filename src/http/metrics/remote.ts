import type { PushStatus } from '../../remote/push/push.ts'
import type { StreamStatus } from '../../stream/status.ts'
import type { MetricFamily, Sample } from './families.ts'

/** State of pull sources and push targets. */
export type RemoteState = { streams: readonly StreamStatus[]; outputs: readonly PushStatus[] }

type Family = MetricFamily<RemoteState>
type Pull = NonNullable<StreamStatus['pull']>

const STATES = ['connecting', 'running', 'waiting'] as const
const states = (now: string, labels: string[]): Sample[] =>
  STATES.map((state) => ({ labels: [...labels, state], value: now === state ? 1 : 0 }))

/** One sample per pulled stream; `labels` follow the stream's name. */
function ofPulls(
  type: Family['type'],
  name: string,
  help: string,
  labels: string[],
  read: (pull: Pull, labels: string[]) => Sample[],
): Family {
  return {
    ...{ name: `millrace_stream_pull_${name}`, help, type, labels: ['stream', ...labels] },
    read: ({ streams }) => streams.flatMap(({ name: stream, pull }) => (pull ? read(pull, [stream]) : [])),
  }
}

/** One sample per push target; `labels` follow the stream's name and the target's id. */
function ofOutputs(
  type: Family['type'],
  name: string,
  help: string,
  labels: string[],
  read: (output: PushStatus, labels: string[]) => Sample[],
): Family {
  return {
    ...{ name: `millrace_stream_output_${name}`, help, type, labels: ['stream', 'output', ...labels] },
    read: ({ outputs }) => outputs.flatMap((output) => read(output, [output.stream, output.id])),
  }
}

/** Labels are bounded: a target's disappear with it, and a stream has at most 16 targets. */
export const REMOTE_FAMILIES: Family[] = [
  ofPulls('gauge', 'info', 'Source of the stream; always 1.', ['type', 'from'], ({ type, from }, labels) => [
    { labels: [...labels, type, from], value: 1 },
  ]),
  ofPulls('gauge', 'state', '1 for the state of the pull, 0 for the others.', ['state'], ({ state }, labels) =>
    states(state, labels),
  ),
  ofPulls('counter', 'failures_total', 'Failed connections to the source.', [], (pull, labels) => [
    { labels, value: pull.failures },
  ]),
  ofPulls('counter', 'received_bytes_total', 'Bytes received, over all connections.', [], ({ bytes }, labels) => [
    { labels, value: bytes },
  ]),
  ofPulls('counter', 'lost_packets_total', 'Packets lost or damaged, over all connections.', [], ({ lost }, labels) => [
    { labels, value: lost },
  ]),
  ofOutputs('gauge', 'info', 'Target of the output; always 1.', ['type', 'to'], ({ type, to }, labels) => [
    { labels: [...labels, type, to], value: 1 },
  ]),
  ofOutputs('gauge', 'state', '1 for the state of the output, 0 for the others.', ['state'], ({ state }, labels) =>
    states(state, labels),
  ),
  ofOutputs('counter', 'failures_total', 'Failed connections to the target.', [], (one, labels) => [
    { labels, value: one.failures },
  ]),
  ofOutputs('counter', 'sent_bytes_total', 'Bytes sent, over all connections.', [], ({ bytes }, labels) => [
    { labels, value: bytes },
  ]),
  ofOutputs(
    'counter',
    'dropped_packets_total',
    'Packets dropped because the target was too slow.',
    [],
    ({ dropped }, labels) => [{ labels, value: dropped }],
  ),
]
