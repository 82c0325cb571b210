/** One line of what the doctor says. */
export type Finding = {
  /** What was looked at. */
  subject: string
  /** `warn`: the server runs, but not with all it can; `missing`: it does not run, or not for anybody. */
  state: 'ok' | 'warn' | 'missing'
  /** What is there, or what is wrong. */
  found: string
  /** What to do about it. */
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

/** For a terminal: a line each, with the mend below what needs one. */
export function reportOf(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length))
  const lines = findings.flatMap(({ subject, state, found, mend }) => [
    `${MARKS[state]} ${subject.padEnd(width)}  ${found}`,
    ...(mend === undefined ? [] : [`  ${''.padEnd(width)}  -> ${mend}`]),
  ])
  const wrong = findings.filter(({ state }) => state === 'missing').length
  const weak = findings.filter(({ state }) => state === 'warn').length
  const verdict = wrong > 0 ? `${wrong} to mend before it runs` : 'it runs here'
  return [...lines, '', weak > 0 ? `${verdict}; ${weak} worth a look` : verdict].join('\n')
}
