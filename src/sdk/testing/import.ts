/** Imports the module named by the first argument and prints, as JSON, what that cost. */
import { registerHooks } from 'node:module'

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

// As in the server's runner: `millrace/…` is the SDK at hand.
registerHooks({
  resolve(specifier, context, next) {
    const name = /^millrace\/(pipeline|onnx|testing)$/.exec(specifier)?.[1]
    if (name) return { url: new URL(`../${name}${EXTENSION}`, import.meta.url).href, shortCircuit: true }
    return next(specifier, context)
  },
})

// Paid for by every pipeline, so not counted.
await import('../pipeline.ts')
const cpu = process.cpuUsage()
const began = performance.now()
await import(process.argv[2]!)
const wallMs = performance.now() - began
const { user, system } = process.cpuUsage(cpu)
process.stdout.write(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000 }), () => process.exit())
