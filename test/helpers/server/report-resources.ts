/** Loaded into a server before its own code: on SIGUSR2 it appends its resources to the file RESOURCES_FILE. */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'

const file = process.env.RESOURCES_FILE
// Not inherited by runners.
delete process.env.NODE_OPTIONS
delete process.env.RESOURCES_FILE

if (file !== undefined) {
  process.on('SIGUSR2', () => {
    const active = process.getActiveResourcesInfo()
    const count = (fits: (kind: string) => boolean) => active.filter(fits).length
    const listeners = process.eventNames().map((name) => process.listenerCount(name))
    const maps = readFileSync('/proc/self/maps', 'utf8').split('\n')
    const held = {
      timers: count((kind) => kind === 'Timeout' || kind === 'Immediate'),
      handles: count((kind) => /Wrap$|Worker/.test(kind)),
      listeners: listeners.reduce((sum, one) => sum + one, 0),
      descriptors: readdirSync('/proc/self/fd').length,
      mappings: maps.filter((line) => /memfd|\/dev\/shm/.test(line)).length,
    }
    appendFileSync(file, `${JSON.stringify(held)}\n`)
  })
}
