import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Budget, type Findings, isMet, type Table } from './benchmark.ts'
import type { Busyness, Machine } from './machine.ts'
import { drawPlot } from './plot.ts'

export type Report = Findings & {
  benchmark: string
  about: string
  /** ISO 8601. */
  at: string
  settings: Record<string, unknown>
  machine: Machine
  during: Busyness
}

/** Writes a benchmark's JSON and plots, and the page of all benchmarks with results in the folder. */
export async function writeReport(report: Report, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const plot of report.plots) {
    await writeFile(join(folder, `${report.benchmark}-${plot.name}.svg`), drawPlot(plot))
  }
  await writeFile(join(folder, `${report.benchmark}.json`), `${JSON.stringify(report, null, 1)}\n`)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort()
  const all = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8'), asNumbers) as Report),
  )
  await writeFile(join(folder, 'README.md'), page(all))
}

/** A figure without measurements is NaN, which is null in JSON: it must not be read as 0, which meets every limit. */
const asNumbers = (_: string, value: unknown) => (value === null ? Number.NaN : value)

/** The same for a terminal. */
export function tell({ budgets, tables }: Findings): string {
  const sections = tables.map((table) => `${table.title}\n${markdown(table)}${table.note ? `\n${table.note}` : ''}`)
  return [...sections, ...(budgets.length > 0 ? [markdown(budgetTable(budgets))] : [])].join('\n\n')
}

function page(reports: readonly Report[]): string {
  return `# Benchmarks\n\nMade by \`npm run bench\`; do not edit.\n\n${reports.map(section).join('\n')}`
}

function section(report: Report): string {
  const { machine, during } = report
  const settings = Object.entries(report.settings).map(([name, value]) => `${name} ${String(value)}`)
  return [
    `## ${report.benchmark}\n`,
    `${report.about}.\n`,
    `${report.at.slice(0, 16).replace('T', ' ')} · ${machine.cores} × ${machine.processor} · ${machine.memoryGiB} GiB · Node ${machine.node} · ` +
      `ffmpeg ${machine.ffmpeg} · load before ${machine.load} · cores busy ${during.busy * 100} %, stolen ${during.stolen * 100} %` +
      `${settings.length > 0 ? ` · ${settings.join(', ')}` : ''}\n`,
    ...(report.budgets.length > 0 ? [`${markdown(budgetTable(report.budgets))}\n`] : []),
    ...report.tables.map(
      (table) => `### ${table.title}\n\n${markdown(table)}\n${table.note ? `\n${table.note}\n` : ''}`,
    ),
    ...report.plots.map(({ name, title }) => `![${title}](${report.benchmark}-${name}.svg)\n`),
  ].join('\n')
}

function budgetTable(budgets: readonly Budget[]): Omit<Table, 'title'> {
  return {
    columns: ['budget', 'promised', 'measured', ''],
    rows: budgets.map((budget) => {
      const { what, limit, value, unit, atLeast } = budget
      return [
        what,
        `${atLeast ? '≥' : '≤'} ${limit} ${unit}`,
        `${round(value)} ${unit}`,
        isMet(budget) ? 'met' : 'missed',
      ]
    }),
  }
}

function markdown({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

const cell = (value: string | number) => (typeof value === 'number' ? String(round(value)) : value)
const round = (value: number) => (Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))
