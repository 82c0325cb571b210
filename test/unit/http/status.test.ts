import { expect, test } from 'vitest'
import { errorOf } from '../../../src/http/status.ts'

test('an aborted wait is no fault of the server: what was asked for has ended', () => {
  const { code, retryable } = errorOf(AbortSignal.abort().reason)
  expect([code, retryable]).toEqual(['conflict', true])
  expect(errorOf(new TypeError('x')).code).toBe('internal')
})
