/** Whether and how a pipeline takes its stream's audio. Without a spec, audio passes around the pipeline unchanged. */
export type AudioSpec = {
  /**
   * `process` (default): the pipeline's audio replaces the publisher's. `listen`: the pipeline gets a copy, and the
   * publisher's audio leaves unchanged. `give`: the pipeline gets no audio, and its own audio replaces the publisher's.
   */
  readonly mode?: 'process' | 'listen' | 'give'
  /** Length of its input frames in milliseconds: 20 (default) or 10. */
  readonly frameMs?: 10 | 20
  /** Channels of its input frames: 2 (default) or 1; other audio is mixed up or down. */
  readonly channels?: 1 | 2
}

/** Fills in the defaults. @throws TypeError that says what is wrong. */
export function wholeSpec(spec: AudioSpec): Required<AudioSpec> {
  const { mode = 'process', frameMs = 20, channels = 2 } = spec
  const check = <T>(name: string, value: T, accepted: readonly T[]) => {
    if (!accepted.includes(value))
      throw new TypeError(`audio.${name} must be ${accepted.join(' or ')}, not ${String(value)}`)
  }
  check('mode', mode, ['process', 'listen', 'give'])
  check('frameMs', frameMs, [10, 20])
  check('channels', channels, [1, 2])
  return { mode, frameMs, channels }
}
