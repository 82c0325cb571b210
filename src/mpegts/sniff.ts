/** What bytes that are no transport stream look like, by how their formats begin. */
const SIGNATURES: { name: string; offset: number; bytes: number[] | string }[] = [
  { name: 'MP4', offset: 4, bytes: 'ftyp' },
  { name: 'MP4', offset: 4, bytes: 'moof' },
  { name: 'MP4', offset: 4, bytes: 'moov' },
  { name: 'MP4', offset: 4, bytes: 'styp' },
  { name: 'Matroska or WebM', offset: 0, bytes: [0x1a, 0x45, 0xdf, 0xa3] },
  { name: 'FLV', offset: 0, bytes: 'FLV' },
  { name: 'AVI or WAV', offset: 0, bytes: 'RIFF' },
  { name: 'Ogg', offset: 0, bytes: 'OggS' },
  { name: 'NUT', offset: 0, bytes: 'nut/multimedia container' },
  { name: 'an MPEG program stream', offset: 0, bytes: [0, 0, 1, 0xba] },
  { name: 'H.264 or HEVC without a container', offset: 0, bytes: [0, 0, 0, 1] },
  { name: 'H.264 or HEVC without a container', offset: 0, bytes: [0, 0, 1] },
  { name: 'MP3', offset: 0, bytes: 'ID3' },
  { name: 'JPEG frames', offset: 0, bytes: [0xff, 0xd8, 0xff] },
  { name: 'AAC without a container', offset: 0, bytes: [0xff, 0xf1] },
  { name: 'AAC without a container', offset: 0, bytes: [0xff, 0xf9] },
  { name: 'an HLS playlist', offset: 0, bytes: '#EXTM3U' },
  { name: 'SDP', offset: 0, bytes: 'v=0' },
  { name: 'a form upload', offset: 0, bytes: '--' },
  { name: 'JSON', offset: 0, bytes: '{' },
  { name: 'HTML or XML', offset: 0, bytes: '<' },
]

/** Packets with a time stamp in front, as Blu-ray discs and some recorders have them. */
const M2TS_BYTES = 192
const SYNC_BYTE = 0x47

/** Names what the first bytes of something look like; undefined when nothing known. */
export function sniff(head: Uint8Array): string | undefined {
  const found = SIGNATURES.find(({ offset, bytes }) => {
    const wanted = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
    return [...wanted].every((byte, i) => head[offset + i] === byte)
  })
  if (found) return found.name
  const m2ts = [4, 4 + M2TS_BYTES, 4 + 2 * M2TS_BYTES].every((offset) => head[offset] === SYNC_BYTE)
  return m2ts ? 'M2TS (packets of 192 bytes)' : undefined
}
