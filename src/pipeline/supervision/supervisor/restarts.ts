const QUICK_MS = [200, 1000, 3000]
const SLOW_MS = [10_000, 20_000, 30_000]

/** When a runner is restarted: three times in quick succession, then every 10 to 30 seconds. */
export class RestartBudget {
  /** Quick restarts in a row. */
  readonly limit = QUICK_MS.length
  /** Restarts since it last ran well. */
  used = 0

  /** The wait before the next start. */
  next(): { delayMs: number; quick: boolean } {
    const at = this.used++
    const quick = QUICK_MS[at]
    if (quick !== undefined) return { delayMs: quick, quick: true }
    return { delayMs: SLOW_MS[Math.min(at - this.limit, SLOW_MS.length - 1)]!, quick: false }
  }

  ranWell(): void {
    this.used = 0
  }
}
