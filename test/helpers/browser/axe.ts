import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** The checker's source, to be evaluated in a page; it defines `axe.run()`. */
export const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Evaluates to the violations, as `Violation[]`. */
export const RUN_AXE = 'axe.run().then(({ violations }) => violations)'

export type Violation = { id: string; nodes: { target: string[]; failureSummary: string }[] }

/** One line per violation, so that a failed assertion is readable. */
export function describeViolations(found: Violation[]): string[] {
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`),
  )
}
