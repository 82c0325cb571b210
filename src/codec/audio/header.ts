/** The header of one coded audio frame. */
export type AudioHeader = {
  /** Bytes before the frame that do not belong to it. */
  skip: number
  /** Bytes of the frame itself. */
  length: number
  /** Samples per channel at `sampleRate`. */
  samples: number
  /** In Hz. */
  sampleRate: number
  channels: number
}

/** Reads the header at an offset; 'short' if the bytes end before the header does, 'bad' if no frame begins here. */
export type ReadAudioHeader = (data: Uint8Array, offset: number) => AudioHeader | 'short' | 'bad'
