/** Header names of the trickle protocol, in the order of the contract's table. */
export const EXPECT_CONTENT = 'Expect-Content'
export const RESET = 'Lp-Trickle-Reset'
export const SEQ = 'Lp-Trickle-Seq'
export const LATEST = 'Lp-Trickle-Latest'
export const CLOSED = 'Lp-Trickle-Closed'
/** Not of the original: how many segments a reader loses that goes on at `Lp-Trickle-Latest`. */
export const MISSED = 'Lp-Trickle-Missed'

/** The status of a segment that does not exist (yet, or any more) in a channel that does. */
export const NO_SUCH_SEGMENT = 470
