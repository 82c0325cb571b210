import { expect, test } from 'vitest'
import { AppError } from '../../../../../src/core/errors.ts'
import { inStage, splitParams, splitUpdate } from '../../../../../src/pipeline/supervision/chain/params.ts'

const keys = ['redact', 'effects']

test('params are one object per stage, and nothing else', () => {
  expect([...splitParams(keys, { effects: { effect: 'edges' } })]).toEqual([
    ['redact', {}],
    ['effects', { effect: 'edges' }],
  ])
  for (const wrong of [{ effect: 'edges' }, { effects: 7 }, { effects: null }, { effects: [] }])
    expect(() => splitParams(keys, wrong)).toThrow(expect.objectContaining({ code: 'invalid-params' }))
})

test('a merge affects the stages it names, a replacement all of them', () => {
  expect(splitUpdate(keys, 'merge', { effects: { strength: 1 } })).toEqual([
    { key: 'effects', mode: 'merge', value: { strength: 1 } },
  ])
  expect(splitUpdate(keys, 'merge', { redact: null })).toEqual([{ key: 'redact', mode: 'replace', value: {} }])
  expect(splitUpdate(keys, 'merge', {})).toEqual([])
  expect(splitUpdate(keys, 'replace', { effects: { strength: 1 } })).toEqual([
    { key: 'redact', mode: 'replace', value: {} },
    { key: 'effects', mode: 'replace', value: { strength: 1 } },
  ])
})

test('errors of a stage are reported under its key', () => {
  const refused = new AppError('invalid-params', 'no', { issues: [{ path: ['strength'], message: 'too much' }] })
  expect(inStage('effects', refused)).toMatchObject({
    code: 'invalid-params',
    message: 'effects: no',
    issues: [{ path: ['effects', 'strength'], message: 'too much' }],
    details: { stage: 'effects' },
  })
})
