import { describe, expect, test } from 'vitest'
import { type Answer, ParamsStore } from '../../../../src/pipeline/runner/params.ts'
import { BaseParams } from '../../../../src/sdk/base-params.ts'
import { z } from '../../../../src/sdk/pipeline.ts'

const Params = BaseParams.extend({
  prompt: z.string().max(20).default('a cat'),
  strength: z.number().min(0).max(1).default(0.5),
})

function open({ initial = {}, params = {}, loading = false } = {}) {
  const answers: Answer[] = []
  const store = new ParamsStore(Params, { initial, params, revision: 1 }, (answer) => answers.push(answer))
  store.loading = loading
  const applied: unknown[] = []
  const apply = (fails = false) =>
    store.applyNext(
      async ({ value }) => {
        if (fails) throw new Error('it does not fit')
        applied.push(value)
      },
      () => {},
    )
  return { store, answers, applied, apply }
}

describe('updates', () => {
  test('are answered when applied', async () => {
    const { store, answers, apply } = open()
    store.update(7, 'merge', { prompt: 'a dog' })
    expect(answers).toEqual([])
    await apply()
    const params = { prompt: 'a dog', strength: 0.5, show_reloading_frame: true }
    expect(answers).toEqual([{ id: 7, ok: true, status: 'applied', revision: 2, params }])
    expect(store.inForce.value).toEqual(params)
  })

  test('in a burst: the newest is applied once, and all are answered in order', async () => {
    const { store, answers, applied, apply } = open()
    store.update(1, 'merge', { prompt: 'a dog' })
    store.update(2, 'merge', { strength: 1 })
    store.update(3, 'merge', { prompt: 'a fox' })
    await apply()
    expect(applied).toEqual([{ prompt: 'a fox', strength: 1, show_reloading_frame: true }])
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 3])
    expect(new Set(answers.map((answer) => answer.ok && answer.revision))).toEqual(new Set([2]))
    expect(store.hasPending).toBe(false)
  })

  test('that are invalid are refused at once with every field, and change nothing', async () => {
    const { store, answers, applied, apply } = open()
    store.update(1, 'merge', { prompt: 5, strength: 7 })
    expect(answers).toMatchObject([{ id: 1, ok: false, error: { code: 'invalid-params' } }])
    const [answer] = answers
    expect(answer!.ok ? [] : answer!.error.issues?.map(({ path }) => path)).toEqual([['prompt'], ['strength']])
    store.update(2, 'merge', { strength: 0.1 })
    await apply()
    expect(applied).toMatchObject([{ prompt: 'a cat', strength: 0.1 }])
  })

  test('replace: missing keys come from the variant, not from the schema', async () => {
    const { store, applied, apply } = open({ initial: { strength: 0.9 }, params: { strength: 0.2, prompt: 'a dog' } })
    store.update(1, 'replace', { prompt: 'a fox' })
    await apply()
    expect(applied).toMatchObject([{ prompt: 'a fox', strength: 0.9 }])
  })

  test('merge with null removes a key', async () => {
    const { store, applied, apply } = open({ params: { prompt: 'a dog' } })
    store.update(1, 'merge', { prompt: null })
    await apply()
    expect(applied).toMatchObject([{ prompt: 'a cat' }])
  })

  test('that cannot be applied are refused, and the previous params stay in force', async () => {
    const { store, answers, apply } = open()
    store.update(1, 'merge', { prompt: 'a dog' })
    store.update(2, 'merge', { prompt: 'a fox' })
    const failure = await apply(true)
    expect(failure?.message).toBe('it does not fit')
    expect(answers).toMatchObject([
      { id: 1, ok: false, error: { code: 'pipeline-failed' } },
      { id: 2, ok: false },
    ])
    expect(store.inForce.value).toMatchObject({ prompt: 'a cat' })
    expect(store.revision).toBe(1)
  })

  test('received while another one failed are merged into the params in force', async () => {
    const { store, applied, apply, answers } = open()
    store.update(1, 'merge', { prompt: 'a dog' })
    const failure = store.applyNext(
      async () => {
        store.update(2, 'merge', { strength: 1 })
        throw new Error('it does not fit')
      },
      () => {},
    )
    await failure
    await apply()
    expect(applied).toMatchObject([{ prompt: 'a cat', strength: 1 }])
    expect(answers.map(({ id, ok }) => [id, ok])).toEqual([
      [1, false],
      [2, true],
    ])
  })

  test('received during the load are accepted at once, and answered once', async () => {
    const { store, answers, applied, apply } = open({ loading: true })
    store.update(1, 'merge', { prompt: 'a dog' })
    expect(answers).toMatchObject([{ id: 1, status: 'accepted', params: { prompt: 'a dog' } }])
    await apply()
    expect(applied).toMatchObject([{ prompt: 'a dog' }])
    expect(answers).toHaveLength(1)
  })

  test('that turn out to take long are accepted then', async () => {
    const { store, answers } = open()
    store.update(1, 'merge', { prompt: 'a dog' })
    await store.applyNext(
      async (_, takesLong) => {
        takesLong()
        expect(answers).toMatchObject([{ id: 1, status: 'accepted' }])
      },
      () => {},
    )
    expect(answers).toHaveLength(1)
  })
})

describe('size', () => {
  test.each([
    [{ width: 64 }, 'height'],
    [{ height: 64 }, 'width'],
    [{ width: 65, height: 64 }, 'width'],
    [{ width: 62, height: 64 }, 'width'],
    [{ width: 64, height: 3842 }, 'height'],
  ])('%j is invalid', (params, path) => {
    expect(() => open({ params })).toThrowError(expect.objectContaining({ code: 'invalid-params' }))
    const { store, answers } = open()
    store.update(1, 'merge', params)
    const [answer] = answers
    expect(answer!.ok ? [] : answer!.error.issues?.map((issue) => issue.path)).toEqual([[path]])
  })

  test('can change during a stream, and back to the size of the source', async () => {
    const { store, answers, apply } = open()
    store.lease(2, { width: 128, height: 64 }, 1)
    await apply()
    store.update(3, 'merge', { width: 64 })
    await apply()
    expect(answers.at(-1)).toMatchObject({ id: 3, ok: true, params: { width: 64, height: 64 } })
    store.update(4, 'merge', { height: null })
    expect(answers.at(-1)).toMatchObject({ id: 4, ok: false, error: { code: 'invalid-params' } })
    store.update(5, 'replace', { prompt: 'a dog' })
    await apply()
    expect(store.inForce.value).not.toHaveProperty('width')
  })
})

describe('between streams', () => {
  test('a lease with the params in force changes nothing', () => {
    const { store, answers } = open({ initial: { prompt: 'a dog' }, params: { prompt: 'a dog' } })
    store.lease(1, { prompt: 'a dog' }, 1)
    expect(store.hasPending).toBe(false)
    expect(answers).toMatchObject([{ id: 1, ok: true, revision: 1, params: { prompt: 'a dog' } }])
  })

  test('a lease with invalid params is refused', () => {
    const { store, answers } = open()
    store.lease(1, { strength: 2 }, 1)
    expect(answers).toMatchObject([{ id: 1, ok: false, error: { code: 'invalid-params' } }])
    expect(store.hasPending).toBe(false)
  })

  test('a release refuses pending updates and restores the variant', async () => {
    const { store, answers, applied, apply } = open({ initial: { prompt: 'a bird' } })
    store.lease(1, { prompt: 'a dog' }, 1)
    await apply()
    store.update(2, 'merge', { prompt: 'a fox' })
    store.release()
    expect(answers.at(-1)).toMatchObject({ id: 2, ok: false })
    await apply()
    expect(applied.at(-1)).toMatchObject({ prompt: 'a bird' })
  })
})
