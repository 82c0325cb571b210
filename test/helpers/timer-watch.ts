import { createHook } from 'node:async_hooks'

/** Creators whose timers do not count: the test runner, and this check. */
const EXEMPT = ['/node_modules/vitest/', '/node_modules/@vitest/', '/helpers/nothing-left.ts']

/** The creator of a timer from its stack: the first line outside Node; undefined for an exempt one. */
function maker(stack: string): string | undefined {
  const line = stack
    .split('\n')
    .slice(1)
    .find((line) => !line.includes('(node:') && !line.includes('at node:') && !line.includes('/timer-watch.ts'))
    ?.trim()
  return EXEMPT.some((place) => line?.includes(place)) ? undefined : line
}

/** Records each new timer until it has fired or was cleared. Counts alone would confuse old and new ones. */
export class TimerWatch {
  stopped = false
  readonly #made = new Map<number, { timer: WeakRef<NodeJS.Timeout>; where: string }>()
  readonly #hook = createHook({
    init: (id, type, _trigger, resource) => {
      if (type !== 'Timeout') return
      const where = maker(new Error().stack ?? '')
      if (where) this.#made.set(id, { timer: new WeakRef(resource as NodeJS.Timeout), where })
    },
    destroy: (id) => this.#made.delete(id),
  }).enable()

  /** Creators of timers that still run and keep the process alive. */
  running(): string[] {
    return [...this.#made.values()].flatMap(({ timer, where }) =>
      timer.deref()?.hasRef() ? [`timer made ${where}`] : [],
    )
  }

  stop(): void {
    this.stopped = true
    this.#hook.disable()
  }
}
