import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import { mergePatch } from '../../codec/merge-patch.ts'
import { AppError, type Issue } from '../../core/errors.ts'
import type { ParamsSchema } from '../../sdk/base-params.ts'
import type { UpdateMode, Values } from '../protocol.ts'
import { shownParams } from './shown-params.ts'

/** Params accepted by the schema: as given, as the pipeline gets them, and as the API shows them. */
export type Checked = { given: Values; value: z.output<ParamsSchema>; shown: Values }

export type Answer =
  | { id: number; ok: true; status: 'applied' | 'accepted'; revision: number; params: Values }
  | { id: number; ok: false; error: AppError }

type Update = { id: number; mode: UpdateMode | 'set'; value: Values; answered: boolean }

/** Id of the update back to the variant's own params; the server's ids are above it. */
const RELEASE_ID = 0

/**
 * The only authority on params. Each update is validated at once against the newest accepted value, so an invalid one
 * changes nothing; of waiting updates only the newest value is applied, and all of them are answered.
 */
export class ParamsStore {
  readonly #schema: ParamsSchema
  readonly #checkMore: (value: z.output<ParamsSchema>) => void
  readonly #initial: Values
  readonly #answer: (answer: Answer) => void
  #inForce: Checked
  #wanted: Checked
  #pending: Update[] = []
  /** The initial params of the stream could not be applied. */
  startFailed = false
  /** While true, updates are answered as soon as they are validated. */
  loading = true
  /** Incremented with each applied change. */
  revision: number

  /**
   * `params` are those the pipeline loads with; `checkMore` throws for params that the schema accepts and the pipeline
   * refuses. Throws `invalid-params`.
   */
  constructor(
    schema: ParamsSchema,
    { initial, params, revision }: { initial: Values; params: Values; revision: number },
    answer: (answer: Answer) => void,
    checkMore: (value: z.output<ParamsSchema>) => void = () => {},
  ) {
    this.#schema = schema
    this.#checkMore = checkMore
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

  /** The initial params of the stream, or of its newest publisher, are not in effect yet. */
  get startWaits(): boolean {
    return this.#pending.some(isStart)
  }

  /** A stream begins with these params, or a publisher joins it with its own. */
  lease(id: number, params: Values, revision: number): void {
    try {
      const checked = this.#check(params)
      this.revision = revision
      if (!isDeepStrictEqual(checked.value, this.#wanted.value))
        this.#push({ id, mode: 'set', value: params, answered: true }, checked)
      this.#answer({ id, ok: true, status: 'accepted', revision, params: checked.shown })
    } catch (thrown) {
      this.#answer({ id, ok: false, error: AppError.from(thrown) })
    }
  }

  /** The stream is over: waiting updates are refused, and the variant's own params return. */
  release(): void {
    const gone = new AppError('pipeline-failed', 'the stream ended before its params were applied')
    for (const update of this.#pending) this.#refuse(update, gone)
    this.#pending = []
    const initial = this.#parse(this.#initial)
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

  /** Answers as `update` would, without applying it. */
  check(id: number, mode: UpdateMode, value: Values): void {
    try {
      const { shown } = this.#combine(this.#wanted, { id, mode, value, answered: false })
      this.#answer({ id, ok: true, status: 'accepted', revision: this.revision, params: shown })
    } catch (thrown) {
      this.#answer({ id, ok: false, error: AppError.from(thrown) })
    }
  }

  /** Answers waiting updates, because applying them will take long. */
  acceptAll(batch: readonly Update[]): void {
    for (const update of batch) this.#accept(update)
  }

  /**
   * Applies the newest waiting value. `apply` gets a function to call if it turns out to take long; `applied` is called
   * when the value is in effect and nobody has been answered yet. Returns the error of `apply`, after the updates
   * concerned were refused and the rest was validated again without them.
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
      if (batch.some(isStart)) this.startFailed = true
      this.#recombine()
      return error
    }
    this.#inForce = next
    this.revision++
    applied()
    for (const { id, answered } of batch) {
      if (!answered) this.#answer({ id, ok: true, status: 'applied', revision: this.revision, params: next.shown })
    }
    return undefined
  }

  /** After a failure: waiting updates were based on params that never took effect. */
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
    this.#answer({ id, ok: true, status: 'accepted', revision: this.revision, params: this.#wanted.shown })
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
    const checked = this.#parse(given)
    try {
      this.#checkMore(checked.value)
    } catch (thrown) {
      const { message, issues } = AppError.from(thrown, 'invalid-params')
      throw invalid(issues ?? [{ path: [], message }])
    }
    return checked
  }

  #parse(given: Values): Checked {
    const parsed = this.#schema.safeParse(given)
    if (!parsed.success) throw invalid(parsed.error.issues.map(toIssue))
    const value = parsed.data
    if ((value.width === undefined) !== (value.height === undefined))
      throw invalid([{ path: [value.width ? 'height' : 'width'], message: 'width and height go together' }])
    return { given, value, shown: shownParams(this.#schema, given, value) }
  }
}

function isStart({ id, mode }: Update): boolean {
  return mode === 'set' && id !== RELEASE_ID
}

function invalid(issues: Issue[]): AppError {
  const list = issues.map(({ path, message }) => `${path.join('.') || 'params'}: ${message}`).join('; ')
  return new AppError('invalid-params', `params are not valid: ${list}`, { issues })
}

function toIssue({ path, message }: z.core.$ZodIssue): Issue {
  return { path: path.map((key) => (typeof key === 'symbol' ? String(key) : key)), message }
}
