import type { Reporter, TestModule } from 'vitest/node'

const LENGTH = 400

/** Ends the output of a run with a line for each failed test, since a report of CI shows only the last ones. */
export class FailedList implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message: string }[]): void {
    const lines = unhandled.map(({ message }) => `outside a test: ${message}`)
    for (const module of modules) {
      const tests = [...module.children.allTests()].flatMap((test) =>
        (test.result().errors ?? []).map(({ message }) => `${test.fullName}: ${message}`),
      )
      const suites = [module, ...module.children.allSuites()].flatMap((suite) =>
        suite.errors().map(({ message }) => `set-up: ${message}`),
      )
      lines.push(...[...suites, ...tests].map((line) => `${module.relativeModuleId}: ${line}`))
    }
    if (lines.length > 0) console.log(['Failed:', ...lines.map(oneLine)].join('\n  '))
  }
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').slice(0, LENGTH)
