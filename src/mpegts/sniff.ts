// Bound: the first 24 bytes are compared with some forty signatures; one of their names comes out.
// Signatures of formats that are not transport streams.
const SIGNATURES: { name: string; offset: number; bytes: number[] | string }[] = [
  { name: 'gzip (send it without compression)', offset: 0, bytes: [0x1f, 0x8b] },
  { name: 'Zstandard (send it without compression)', offset: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'xz (send it without compression)', offset: 0, bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0] },
  { name: 'bzip2 (send it without compression)', offset: 0, bytes: 'BZh' },
  { name: 'a ZIP archive', offset: 0, bytes: [0x50, 0x4b, 3, 4] },
  { name: 'MP4', offset: 4, bytes: 'ftyp' },
  { name: 'MP4', offset: 4, bytes: 'moof' },
  { name: 'MP4', offset: 4, bytes: 'moov' },
  { name: 'MP4', offset: 4, bytes: 'styp' },
  { name: 'MP4', offset: 4, bytes: 'sidx' },
  { name: 'QuickTime', offset: 4, bytes: 'mdat' },
  { name: 'QuickTime', offset: 4, bytes: 'wide' },
  { name: 'Matroska or WebM', offset: 0, bytes: [0x1a, 0x45, 0xdf, 0xa3] },
  { name: 'FLV', offset: 0, bytes: 'FLV' },
  { name: 'AVI or WAV', offset: 0, bytes: 'RIFF' },
  { name: 'Ogg', offset: 0, bytes: 'OggS' },
  { name: 'NUT', offset: 0, bytes: 'nut/multimedia container' },
  { name: 'an MPEG program stream', offset: 0, bytes: [0, 0, 1, 0xba] },
  { name: 'H.264 or HEVC without a container', offset: 0, bytes: [0, 0, 0, 1] },
  { name: 'H.264 or HEVC without a container', offset: 0, bytes: [0, 0, 1] },
  { name: 'MP3', offset: 0, bytes: 'ID3' },
  { name: 'AC-3 without a container', offset: 0, bytes: [0x0b, 0x77] },
  { name: 'FLAC', offset: 0, bytes: 'fLaC' },
  { name: 'ASF or WMV', offset: 0, bytes: [0x30, 0x26, 0xb2, 0x75] },
  { name: 'MXF', offset: 0, bytes: [0x06, 0x0e, 0x2b, 0x34] },
  { name: 'IVF', offset: 0, bytes: 'DKIF' },
  { name: 'raw video (Y4M)', offset: 0, bytes: 'YUV4MPEG2' },
  { name: 'PNG frames', offset: 0, bytes: [0x89, 0x50, 0x4e, 0x47] },
  { name: 'JPEG frames', offset: 0, bytes: [0xff, 0xd8, 0xff] },
  { name: 'AAC without a container', offset: 0, bytes: [0xff, 0xf1] },
  { name: 'AAC without a container', offset: 0, bytes: [0xff, 0xf9] },
  { name: 'an HLS playlist', offset: 0, bytes: '#EXTM3U' },
  { name: 'SDP', offset: 0, bytes: 'v=0' },
  { name: 'a form upload', offset: 0, bytes: '--' },
  { name: 'JSON', offset: 0, bytes: '{' },
  { name: 'HTML or XML', offset: 0, bytes: '<' },
]

/** Names the format of the first bytes; undefined if unknown. */
export function sniff(head: Uint8Array): string | undefined {
  return SIGNATURES.find(({ offset, bytes }) => {
    const wanted = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
    return [...wanted].every((byte, i) => head[offset + i] === byte)
  })?.name
}
