import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { LeftOverChannels } from '../../../../src/livepeer/runner/left-over-channels.ts'

it('a name in use in the folder fails no start; the file gets another name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mr-left-over-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  // A folder cannot be replaced, like a file of another user.
  mkdirSync(join(folder, `millrace-livepeer-${process.pid}.json.part`))
  const channels = new LeftOverChannels(folder)
  const owner = {}
  channels.add(owner, ['http://example.org/a'])
  const notes = () => readdirSync(folder).filter((name) => name.endsWith('.json'))
  expect(notes()).toHaveLength(1)
  channels.remove(owner)
  expect(notes()).toEqual([])
})

it('nor does a missing folder', () => {
  const channels = new LeftOverChannels('/nowhere/at/all')
  channels.add({}, ['http://example.org/a'])
})
