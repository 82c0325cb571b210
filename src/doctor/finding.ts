/** One finding of the doctor. */
export type Finding = {
  /** The checked subject. */
  subject: string
  /** `warn`: the server runs, but without some features; `missing`: it does not run, or not for everybody. */
  state: 'ok' | 'warn' | 'missing'
  /** What there is, or what is wrong. */
  found: string
  /** How to fix it. */
  mend?: string
}

export const fine = (subject: string, found: string): Finding => ({ subject, state: 'ok', found })
export const warn = (subject: string, found: string, mend: string): Finding => ({ subject, state: 'warn', found, mend })
export const missing = (subject: string, found: string, mend: string): Finding => ({
  subject,
  state: 'missing',
  found,
  mend,
})

const MARKS = { ok: '✓', warn: '!', missing: '✗' }

/** For a terminal: one line per finding, with the fix below it. */
export function reportOf(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length))
  const lines = findings.flatMap(({ subject, state, found, mend }) => [
    `${MARKS[state]} ${subject.padEnd(width)}  ${found}`,
    ...(mend === undefined ? [] : [`  ${''.padEnd(width)}  -> ${mend}`]),
  ])
  const wrong = findings.filter(({ state }) => state === 'missing').length
  const weak = findings.filter(({ state }) => state === 'warn').length
  const verdict = wrong > 0 ? `${wrong} to fix before the server can run` : 'the server can run here'
  return [...lines, '', weak > 0 ? `${verdict}; warnings: ${weak}` : verdict].join('\n')
}
