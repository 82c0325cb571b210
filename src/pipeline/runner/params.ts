import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import { mergePatch } from '../../codec/merge-patch.ts'
import { AppError, type Issue } from '../../core/errors.ts'
import type { ParamsSchema } from '../../sdk/base-params.ts'
import type { UpdateMode, Values } from '../protocol.ts'

/** Params that the schema accepted: as they were given, and with defaults filled in. */
export type Checked = { given: Values; value: z.output<ParamsSchema> }

export type Answer =
  | { id: number; ok: true; status: 'applied' | 'accepted'; revision: number; params: Values }
  | { id: number; ok: false; error: AppError }

type Update = { id: number; mode: UpdateMode | 'set'; value: Values; answered: boolean }
type Size = { width?: number; height?: number }

/** Of the update back to the variant's own params; those of the server are above it. */
const RELEASE_ID = 0
const SIDES = ['width', 'height'] as const

/**
 * The one authority on params. Every update is checked at once against the newest accepted value, so a wrong one
 * changes nothing; of those that wait, only the newest value is applied, and all of them are answered.
 */
export class ParamsStore {
  readonly #schema: ParamsSchema
  readonly #initial: Values
  readonly #answer: (answer: Answer) => void
  #inForce: Checked
  #wanted: Checked
  #pending: Update[] = []
  #size: Size | undefined
  /** The params that the stream began with could not be put in force. */
  startFailed = false
  /** While true, updates are answered as soon as they are checked. */
  loading = true
  /** Counts what was applied. */
  revision: number

  /** `params` are those the pipeline loads with. Throws `invalid-params`. */
  constructor(
    schema: ParamsSchema,
    { initial, params, revision }: { initial: Values; params: Values; revision: number },
    answer: (answer: Answer) => void,
  ) {
    this.#schema = schema
    this.#initial = initial
    this.revision = revision
    this.#answer = answer
    this.#inForce = this.#wanted = this.#check(params)
  }

  get inForce(): Checked {
    return this.#inForce
  }

  get hasPending(): boolean {
    return this.#pending.length > 0
  }

  /** A stream begins with these params; its frame size does not change from here on. */
  lease(id: number, params: Values, revision: number): void {
    this.#size = undefined
    try {
      const checked = this.#check(params)
      this.#size = { width: checked.value.width, height: checked.value.height }
      this.revision = revision
      if (!isDeepStrictEqual(checked.value, this.#wanted.value))
        this.#push({ id, mode: 'set', value: params, answered: true }, checked)
      this.#answer({ id, ok: true, status: 'accepted', revision, params: checked.value })
    } catch (thrown) {
      this.#answer({ id, ok: false, error: AppError.from(thrown) })
    }
  }

  /** The stream is over: whatever waits is refused, and the variant's own params come back. */
  release(): void {
    const gone = new AppError('pipeline-failed', 'the stream ended before its params were applied')
    for (const update of this.#pending) this.#refuse(update, gone)
    this.#pending = []
    this.#size = undefined
    const initial = this.#check(this.#initial)
    this.#wanted = this.#inForce
    if (!isDeepStrictEqual(initial.value, this.#inForce.value))
      this.#push({ id: RELEASE_ID, mode: 'set', value: this.#initial, answered: true }, initial)
  }

  update(id: number, mode: UpdateMode, value: Values): void {
    const update: Update = { id, mode, value, answered: false }
    try {
      this.#push(update, this.#combine(this.#wanted, update))
      if (this.loading) this.#accept(update)
    } catch (thrown) {
      this.#refuse(update, AppError.from(thrown))
    }
  }

  /** Answers what waits, since applying it will take long. */
  acceptAll(batch: readonly Update[]): void {
    for (const update of batch) this.#accept(update)
  }

  /**
   * Applies the newest waiting value. `apply` gets a function to call when it turns out to take long; `applied` is
   * called when the value is in force and nobody has been answered yet. Returns what `apply` threw, after the updates
   * in question were refused and the rest was checked anew without them.
   */
  async applyNext(
    apply: (next: Checked, takesLong: () => void) => Promise<void>,
    applied: () => void,
  ): Promise<AppError | undefined> {
    const batch = this.#pending
    const next = this.#wanted
    this.#pending = []
    try {
      await apply(next, () => this.acceptAll(batch))
    } catch (thrown) {
      const error = AppError.from(thrown, 'pipeline-failed')
      for (const update of batch) this.#refuse(update, error)
      if (batch.some(({ id, mode }) => mode === 'set' && id !== RELEASE_ID)) this.startFailed = true
      this.#recombine()
      return error
    }
    this.#inForce = next
    this.revision++
    applied()
    for (const { id, answered } of batch) {
      if (!answered) this.#answer({ id, ok: true, status: 'applied', revision: this.revision, params: next.value })
    }
    return undefined
  }

  /** After a failure: what still waits was built on params that never came in force. */
  #recombine(): void {
    const waiting = this.#pending
    this.#pending = []
    this.#wanted = this.#inForce
    for (const update of waiting) {
      try {
        this.#push(update, this.#combine(this.#wanted, update))
      } catch (thrown) {
        this.#refuse(update, AppError.from(thrown))
      }
    }
  }

  #push(update: Update, wanted: Checked): void {
    this.#pending.push(update)
    this.#wanted = wanted
  }

  #accept(update: Update): void {
    if (update.answered) return
    update.answered = true
    const { id } = update
    this.#answer({ id, ok: true, status: 'accepted', revision: this.revision, params: this.#wanted.value })
  }

  #refuse(update: Update, error: AppError): void {
    if (update.answered) return
    update.answered = true
    this.#answer({ id: update.id, ok: false, error })
  }

  #combine(base: Checked, { mode, value }: Update): Checked {
    if (mode === 'merge') return this.#check(mergePatch(base.given, value) as Values)
    if (mode === 'replace') return this.#check({ ...this.#initial, ...value })
    return this.#check(value)
  }

  #check(given: Values): Checked {
    const size = this.#size ?? {}
    // A running stream keeps its size, so leaving it out means "as it is".
    const whole = { ...given }
    for (const side of SIDES) if (whole[side] === undefined && size[side] !== undefined) whole[side] = size[side]
    const parsed = this.#schema.safeParse(whole)
    if (!parsed.success) throw invalid(parsed.error.issues.map(toIssue))
    const value = parsed.data
    if ((value.width === undefined) !== (value.height === undefined))
      throw invalid([{ path: [value.width ? 'height' : 'width'], message: 'width and height go together' }])
    if (this.#size) {
      const changed = SIDES.filter((side) => value[side] !== size[side])
      if (changed.length > 0) {
        const now = size.width ? `${size.width}x${size.height}` : "the source's own"
        throw new AppError('conflict', `the size of a running stream cannot change; it is ${now}`, {
          issues: changed.map((side) => ({ path: [side], message: 'needs a new stream' })),
        })
      }
    }
    return { given: whole, value }
  }
}

function invalid(issues: Issue[]): AppError {
  const list = issues.map(({ path, message }) => `${path.join('.') || 'params'}: ${message}`).join('; ')
  return new AppError('invalid-params', `params are not valid: ${list}`, { issues })
}

function toIssue({ path, message }: z.core.$ZodIssue): Issue {
  return { path: path.map((key) => (typeof key === 'symbol' ? String(key) : key)), message }
}
