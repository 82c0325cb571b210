// RTP payload format for H.265: RFC 7798, without decoding order numbers (sprop-max-don-diff is 0).
// Bound: that of `NalAssembler`.
import { NalAssembler } from './nal-assembler.ts'

const AGGREGATION = 48

/** Reassembles the payloads of one access unit, within the bounds of `NalAssembler`. */
export class H265Assembler extends NalAssembler {
  constructor() {
    super({
      codec: 'H.265',
      headerBytes: 2,
      type: (payload) => (payload[0]! >> 1) & 0x3f,
      aggregation: AGGREGATION,
      fragmentation: 49,
      isSingle: (type) => type < AGGREGATION,
      accepted: 'single units, aggregation and fragmentation units',
      // §4.4.3: the payload's header with the fragment's type.
      fragmentedHeader: (payload) => Uint8Array.of((payload[0]! & 0x81) | ((payload[2]! & 0x3f) << 1), payload[1]!),
    })
  }
}
