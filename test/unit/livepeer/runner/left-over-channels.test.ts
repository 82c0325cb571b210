import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { UrlGuard } from '../../../../src/core/url-guard.ts'
import { LeftOverChannels } from '../../../../src/livepeer/runner/left-over-channels.ts'
import { LogCollector } from '../../../helpers/server/logs.ts'
import { serve, silent } from '../../trickle/harness.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'mr-left-over-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Pid of a process that has exited. */
const gonePid = () => spawnSync('true').pid

const guardFor = (url: string) => new UrlGuard({ allowed: [new URL(url).origin], verifyTls: false })

test('recorded channels are remembered until deleted', () => {
  const path = folder()
  const channels = new LeftOverChannels(path)
  const [one, two] = [{}, {}]
  channels.add(one, ['http://o/a-out', 'http://o/a-events'])
  channels.add(two, ['http://o/b-out'])
  const [name = ''] = readdirSync(path)
  expect(name).toBe(`millrace-livepeer-${process.pid}.json`)
  expect(JSON.parse(readFileSync(join(path, name), 'utf8'))).toEqual([
    'http://o/a-out',
    'http://o/a-events',
    'http://o/b-out',
  ])
  channels.remove(one)
  expect(JSON.parse(readFileSync(join(path, name), 'utf8'))).toEqual(['http://o/b-out'])
  channels.remove(two)
  channels.remove(two)
  expect(readdirSync(path)).toEqual([])
})

test('channels of a server that is gone are deleted, those of a running one are kept', async () => {
  const { trickle, url } = await serve({})
  for (const name of ['gone', 'mine', 'running']) trickle.create(name, 'video/mp2t')
  const path = folder()
  writeFileSync(join(path, `millrace-livepeer-${gonePid()}.json`), JSON.stringify([`${url}/gone`, `${url}/none`]))
  // The same pid again, as in a restarted container.
  writeFileSync(join(path, `millrace-livepeer-${process.pid}.json`), JSON.stringify([`${url}/mine`]))
  writeFileSync(join(path, `millrace-livepeer-${process.ppid}.json`), JSON.stringify([`${url}/running`]))
  await new LeftOverChannels(path).cleanUp(guardFor(url), silent)
  expect(['gone', 'mine', 'running'].map((name) => trickle.get(name) !== undefined)).toEqual([false, false, true])
  expect(readdirSync(path)).toEqual([`millrace-livepeer-${process.ppid}.json`])
})

test('invalid files are ignored', async () => {
  const { trickle, url } = await serve({})
  trickle.create('one', 'video/mp2t')
  const path = folder()
  const elsewhere = join(folder(), 'list.json')
  writeFileSync(elsewhere, JSON.stringify([`${url}/one`]))
  symlinkSync(elsewhere, join(path, `millrace-livepeer-${gonePid()}.json`))
  writeFileSync(join(path, 'millrace-livepeer-x.json'), JSON.stringify([`${url}/one`]))
  writeFileSync(join(path, `millrace-livepeer-${gonePid()}.json`), '["http://')
  const logs = new LogCollector()
  await new LeftOverChannels(path).cleanUp(guardFor(url), logs.log)
  expect(trickle.get('one')).toBeDefined()
  // Nor is a URL that may not be requested.
  writeFileSync(join(path, `millrace-livepeer-${gonePid()}.json`), JSON.stringify([`${url}/one`]))
  await new LeftOverChannels(path).cleanUp(new UrlGuard({ allowed: [], verifyTls: false }), logs.log)
  expect(trickle.get('one')).toBeDefined()
  expect(logs.named('could not delete a leftover channel')).toHaveLength(1)
})

test('the file is readable by its owner only', () => {
  const path = folder()
  chmodSync(path, 0o700)
  const channels = new LeftOverChannels(path)
  channels.add({}, ['http://o/a'])
  const listed = spawnSync('stat', ['-c', '%a', join(path, `millrace-livepeer-${process.pid}.json`)]).stdout.toString()
  expect(listed.trim()).toBe('600')
})
