/** What the header of one coded audio frame tells. */
export type AudioHeader = {
  /** Bytes in front of the frame that are not part of it. */
  skip: number
  /** Bytes of the frame itself. */
  length: number
  /** Samples per channel at `sampleRate`. */
  samples: number
  /** In Hz. */
  sampleRate: number
  channels: number
}

/**
 * Reads the header at an offset: the header; 'short' when the bytes end before it does; 'bad' when no frame begins here.
 */
export type ReadAudioHeader = (data: Uint8Array, offset: number) => AudioHeader | 'short' | 'bad'
