/** Imports the module named by the first argument and prints the cost as JSON. */
import { registerHooks } from 'node:module'

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

// As in the server's runner: `millrace/…` resolves to this SDK.
registerHooks({
  resolve(specifier, context, next) {
    const name = /^millrace\/(pipeline|onnx|testing)$/.exec(specifier)?.[1]
    if (name) return { url: new URL(`../${name}${EXTENSION}`, import.meta.url).href, shortCircuit: true }
    return next(specifier, context)
  },
})

// Every pipeline imports it, so it is not counted.
await import('../pipeline.ts')
const cpu = process.cpuUsage()
const began = performance.now()
await import(process.argv[2]!)
const wallMs = performance.now() - began
const { user, system } = process.cpuUsage(cpu)
process.stdout.write(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000 }), () => process.exit())
