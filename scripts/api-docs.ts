/**
 * `npm run api-docs`: writes `docs/api`, the reference of the SDK and of the browser client, from their doc comments;
 * `-- --check` fails if the pages are out of date.
 */
import { spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const API = join(ROOT, 'docs', 'api')
// typedoc needs the JavaScript API of TypeScript 6, which this project's compiler no longer has; so it is installed
// separately.
const TOOLS = ['typedoc@0.28.20', 'typedoc-plugin-markdown@4.14.1', 'typescript@6.0.3']

const folder = mkdtempSync(join(tmpdir(), 'millrace-api-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const tools = join(folder, 'tools')
const out = join(folder, 'out')

function run(command: string, args: string[]): void {
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

run('npm', ['install', '--prefix', tools, '--no-save', '--no-audit', '--no-fund', '--loglevel=error', ...TOOLS])
/** Writes the pages of these modules to a folder. */
function describe(name: string, entryPoints: string[], tsconfig: string, out: string): void {
  const options = join(folder, `${name}.json`)
  writeFileSync(
    options,
    JSON.stringify({
      name,
      entryPoints: entryPoints.map((path) => join(ROOT, path)),
      tsconfig: join(ROOT, tsconfig),
      plugin: [join(tools, 'node_modules', 'typedoc-plugin-markdown', 'dist', 'index.js')],
      out,
      outputFileStrategy: 'modules',
      readme: 'none',
      externalPattern: ['**/node_modules/**'],
      excludeExternals: true,
      excludePrivate: true,
      disableSources: true,
      hideBreadcrumbs: true,
      hidePageHeader: true,
      useCodeBlocks: true,
      parametersFormat: 'table',
      propertiesFormat: 'table',
      skipErrorChecking: true,
      logLevel: 'Error',
    }),
  )
  run(process.execPath, [join(tools, 'node_modules', 'typedoc', 'bin', 'typedoc'), '--options', options])
}

const sdk = ['pipeline', 'onnx', 'testing'].map((name) => join('src', 'sdk', `${name}.ts`))
describe('Millrace SDK', sdk, 'tsconfig.build.json', out)
// A single module is its own front page; the browser has other globals than the SDK.
const client = join(folder, 'client')
describe('client', [join('public', 'client', 'index.js')], 'tsconfig.client.json', client)
cpSync(join(client, 'README.md'), join(out, 'client.md'))
appendFileSync(join(out, 'README.md'), '- [client](client.md), for browsers\n')

const pages = (directory: string) =>
  new Map(readdirSync(directory).map((page) => [page, readFileSync(join(directory, page), 'utf8')]))
const written = pages(out)
if (process.argv.includes('--check')) {
  const kept = pages(API)
  const old = [...new Set([...written.keys(), ...kept.keys()])].filter((page) => written.get(page) !== kept.get(page))
  if (old.length > 0) {
    console.error(
      `not what the doc comments say: ${old.map((page) => `docs/api/${page}`).join(', ')}; run npm run api-docs`,
    )
    process.exit(1)
  }
} else {
  rmSync(API, { recursive: true, force: true })
  cpSync(out, API, { recursive: true })
}
