import { expect, test } from 'vitest'
import { ParamsToLoad } from '../../../../../src/pipeline/supervision/supervisor/params-to-load.ts'

const initial = { model: 'own', strength: 1 }

test('the initial params stay until they are in force, whatever else is applied', () => {
  const params = new ParamsToLoad(initial, initial)
  params.begin({ model: 'a' })
  // The runner has not been released by the previous stream yet.
  params.applied(initial)
  expect(params.next).toEqual({ model: 'a' })
  params.refused()
  expect(params.next).toEqual({ model: 'a' })
  params.applied({ model: 'a' })
  expect([params.waiting, params.next]).toEqual([false, { model: 'a' }])
})

test('a refused update is replaced by the params it was based on', () => {
  const params = new ParamsToLoad(initial, initial)
  params.begin({ model: 'a', strength: 0.5 })
  expect(params.update('merge', { strength: null })).toEqual({ model: 'a' })
  expect(params.update('merge', { depth: 1 })).toEqual({ model: 'a', depth: 1 })
  expect(params.update('replace', { depth: 2 })).toEqual({ ...initial, depth: 2 })
  params.refused()
  expect(params.next).toEqual({ model: 'a', strength: 0.5 })
})

test('a start that the runner refuses at once is undone, unless applied meanwhile', () => {
  const params = new ParamsToLoad(initial, initial)
  params.begin({ model: 'a' })()
  expect([params.inForce(initial), params.inForce({ model: 'a' })]).toEqual([true, false])
  const takeBack = params.begin({ model: 'b' })
  params.applied({ model: 'b' })
  takeBack()
  expect([params.waiting, params.next]).toEqual([false, { model: 'b' }])
})

test('given params are merged over the own ones', () => {
  const params = new ParamsToLoad(initial, initial)
  expect(params.whole({ strength: null, depth: 1 })).toEqual({ model: 'own', depth: 1 })
})
