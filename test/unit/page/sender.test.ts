import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { pageModule } from './page-module.ts'

const { ParamsSender } = await pageModule('params/sender.js')

test('sends one change at a time, and the newest value of each key wins', async () => {
  const sent: object[] = []
  const release: (() => void)[] = []
  const answered: object[] = []
  const sender = new ParamsSender(
    (changes: object) => {
      sent.push(changes)
      return new Promise<void>((resolve) => release.push(resolve))
    },
    { onAnswer: (changes: object) => answered.push(changes), onError: () => {} },
  )
  sender.change({ strength: 0.1 })
  for (const strength of [0.2, 0.3, 0.4]) sender.change({ strength })
  sender.change({ effect: 'invert' })
  expect(sent).toEqual([{ strength: 0.1 }])
  release[0]?.()
  while (sent.length < 2) await sleep(10)
  expect(sent[1]).toEqual({ strength: 0.4, effect: 'invert' })
  release[1]?.()
  while (sender.pending) await sleep(10)
  expect(answered).toEqual(sent)
})

test('a failure is reported with what was sent, and the next change is sent', async () => {
  const failed: object[] = []
  const sent: object[] = []
  const sender = new ParamsSender(
    async (changes: { x: number }) => {
      sent.push(changes)
      if (changes.x === 1) throw new Error('no')
    },
    { onAnswer: () => {}, onError: (changes: object) => failed.push(changes) },
  )
  sender.change({ x: 1 })
  sender.change({ x: 2 })
  while (sender.pending) await sleep(10)
  expect(failed).toEqual([{ x: 1 }])
  expect(sent).toEqual([{ x: 1 }, { x: 2 }])
})
