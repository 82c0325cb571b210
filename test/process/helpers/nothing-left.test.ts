import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nothingLeft } from '../../helpers/nothing-left.ts'

describe('nothingLeft', () => {
  test('passes when everything new is gone', async () => {
    const clean = nothingLeft()
    const child = spawn('sleep', ['30'], { stdio: 'ignore' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    await clean()
  })

  test('finds a child process', async () => {
    const watch = [nothingLeft(), nothingLeft()]
    const child = spawn('sleep', ['30'], { stdio: 'ignore' })
    await expect(watch[0]?.(200)).rejects.toThrow(/sleep 30/)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await watch[1]?.()
  })

  test('finds a listening socket', async () => {
    const watch = [nothingLeft(), nothingLeft()]
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    await expect(watch[0]?.(200)).rejects.toThrow(/tcp port \d+/)
    server.close()
    await watch[1]?.()
  })

  test('finds a timer, and where it was created', async () => {
    const watch = [nothingLeft(), nothingLeft()]
    const timer = setInterval(() => {}, 1000)
    await expect(watch[0]?.(200)).rejects.toThrow(/timer made .*nothing-left\.test/)
    clearInterval(timer)
    await watch[1]?.()
  })

  test('finds a file', async () => {
    const watch = [nothingLeft(), nothingLeft()]
    const file = join(tmpdir(), `millrace-left-${process.pid}`)
    writeFileSync(file, '')
    await expect(watch[0]?.(200)).rejects.toThrow(/millrace-left/)
    rmSync(file)
    await watch[1]?.()
  })

  test('finds a grandchild', async () => {
    const watch = [nothingLeft(), nothingLeft()]
    const child = spawn('sh', ['-c', 'sleep 31 & wait'], { stdio: 'ignore', detached: true })
    await once(child, 'spawn')
    await expect(watch[0]?.(300)).rejects.toThrow(/sleep 31/)
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    await once(child, 'exit')
    await watch[1]?.()
  })
})
