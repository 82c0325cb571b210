import type { BrowserContext } from 'playwright-core'

const notes: string[] = []

/** Records errors and warnings of a context's pages, asserted or not. */
export function notePages(context: BrowserContext): void {
  const note = (words: string) => {
    // What repeats says nothing new.
    if (!notes.includes(words) && notes.push(words) > 200) notes.shift()
  }
  context.on('weberror', (thrown) => note(`thrown: ${thrown.error().stack ?? thrown.error().message}`))
  context.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') note(`${message.type()}: ${message.text()}`)
  })
  context.on('requestfailed', (request) =>
    note(`${request.method()} ${request.url()} failed: ${request.failure()?.errorText}`),
  )
  context.on('response', (answer) => {
    if (answer.status() >= 400) note(`${answer.request().method()} ${answer.url()} was answered ${answer.status()}`)
  })
}

/** Notes since the last call. */
export const takePageNotes = (): string[] => notes.splice(0)
