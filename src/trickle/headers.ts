/** Header names of the trickle protocol, in the order of the contract's table. */
export const EXPECT_CONTENT = 'Expect-Content'
export const RESET = 'Lp-Trickle-Reset'
export const SEQ = 'Lp-Trickle-Seq'
export const LATEST = 'Lp-Trickle-Latest'
export const CLOSED = 'Lp-Trickle-Closed'
/** An extension: how many segments a reader loses that continues at `Lp-Trickle-Latest`. */
export const MISSED = 'Lp-Trickle-Missed'

/** Status for a segment that does not exist (yet, or any more) in an existing channel. */
export const NO_SUCH_SEGMENT = 470
