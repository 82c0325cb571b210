/** Whether frames come out of the pipeline; on a busy machine too few of them do for `ONLINE`. */
export const isOnAir = (state: unknown): boolean => /^(ONLINE|DEGRADED_)/.test(String(state))
