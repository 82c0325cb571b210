import { describe, expect, it } from 'vitest'
import { AppError } from '../../../src/core/errors.ts'
import { deadline, Scope, sleep } from '../../../src/core/resource.ts'

describe('Scope', () => {
  it('disposes newest first, after its loops have ended', async () => {
    const seen: string[] = []
    const scope = new Scope()
    scope.defer(() => seen.push('first'))
    scope.defer(() => seen.push('second'))
    scope.spawn(async (signal) => {
      await sleep(60_000, signal).catch(() => {})
      seen.push('loop')
      return undefined
    })
    expect(await scope.close()).toEqual({ why: 'stopped' })
    expect(seen).toEqual(['loop', 'second', 'first'])
  })

  it('ends with its first loop and keeps the first reason', async () => {
    const scope = new Scope()
    scope.spawn(async () => ({ why: 'ended' }))
    scope.spawn(async (signal) => {
      await sleep(60_000, signal).catch(() => {})
      throw new Error('later')
    })
    expect(await scope.closed).toEqual({ why: 'ended' })
    expect(await scope.close()).toEqual({ why: 'ended' })
  })

  it('reports why a loop failed', async () => {
    const scope = new Scope()
    scope.spawn(async () => {
      throw new AppError('capacity', 'full')
    })
    expect(await scope.closed).toMatchObject({ why: 'failed', error: { code: 'capacity' } })
  })

  it('ends with its parent and leaves no listener on it', async () => {
    const parent = new AbortController()
    const scope = new Scope(parent.signal)
    parent.abort()
    expect(await scope.closed).toEqual({ why: 'stopped' })
    expect(await new Scope(parent.signal).closed).toEqual({ why: 'stopped' })
  })

  it('reports a failing cleanup, and runs the others', async () => {
    const seen: string[] = []
    const scope = new Scope()
    scope.defer(() => seen.push('ran'))
    scope.defer(() => {
      throw new Error('broken')
    })
    expect(await scope.close()).toMatchObject({ why: 'failed', error: { message: 'broken' } })
    expect(seen).toEqual(['ran'])
  })
})

describe('deadline', () => {
  it('fails with timeout, naming the work', async () => {
    await expect(deadline(new Promise(() => {}), 10, 'waiting')).rejects.toMatchObject({
      code: 'timeout',
      message: 'waiting took longer than 10 ms',
    })
  })

  it('returns a value in time', async () => {
    expect(await deadline(Promise.resolve(7), 10_000, 'work')).toBe(7)
  })
})
