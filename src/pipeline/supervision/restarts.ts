const DELAYS_MS = [200, 1000, 3000]

/** How often a runner is started again before it is given up: three times in a row. */
export class RestartBudget {
  readonly limit: number
  /** Restarts since it last ran well. */
  used = 0

  constructor(limit = DELAYS_MS.length) {
    this.limit = limit
  }

  /** Milliseconds to wait before the next start; undefined when there is none left. */
  next(): number | undefined {
    if (this.used >= this.limit) return undefined
    return DELAYS_MS[Math.min(this.used++, DELAYS_MS.length - 1)]
  }

  ranWell(): void {
    this.used = 0
  }
}
