import { basename, isAbsolute, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { about, environment, findPipelines } from '../surroundings.ts'
import { install, uninstall } from './install.ts'

const place = () => ({ ...readConfig(environment), appDir: process.cwd() })

/** `millrace pipelines`, `install`, `uninstall` and `new`. */
export function addPackages(program: Command): void {
  program
    .command('pipelines')
    .description('list the installed pipelines')
    .option('--json', 'as JSON')
    .option('--verbose', 'also show files, and rejected packages with the reason')
    .action(list)
  program
    .command('install')
    .description(
      'install pipelines into PIPELINE_DIR: npm packages, and Python packages, each in its own virtual environment',
    )
    .argument(
      '<spec...>',
      'an npm spec, a Python spec after pip: (pip:my-pipeline==1.2.3, pip:./folder), or a folder of either',
    )
    .action((specs: string[]) => install(specs, place()))
  program
    .command('uninstall')
    .description('remove an installed pipeline from PIPELINE_DIR')
    .argument('<name>', 'name of the pipeline or of its package')
    .action((name: string) => uninstall(name, place()))
  program
    .command('new')
    .description('create a pipeline package with params and a test')
    .argument('<folder>', 'a new folder, whose name the package and the pipeline get')
    .option('--python', 'in Python (default: TypeScript)')
    .action(write)
}

async function list({ json, verbose }: { json?: boolean; verbose?: boolean }): Promise<void> {
  const { pipelines, rejected } = await findPipelines(readConfig(environment))
  const found = [...pipelines.values()]
  if (json) {
    console.log(JSON.stringify({ pipelines: found, rejected }, null, 2))
    return
  }
  for (const { name, package: from, interpreter, entryFile, exportName } of found) {
    console.log(`${name.padEnd(24)} ${from.name}@${from.version}  ${from.description ?? ''}`)
    if (verbose) console.log(`${''.padEnd(24)} ${interpreter ?? entryFile}#${exportName}`)
  }
  for (const { where, reason } of verbose ? rejected : []) console.log(`rejected  ${where}: ${reason}`)
}

async function write(directory: string, { python }: { python?: boolean }): Promise<void> {
  const { writeNewPackage } = await import('../../scaffold/new-package.ts')
  // In a checkout the new package uses that checkout; otherwise the installed version of Millrace.
  const checkout = import.meta.url.endsWith('.ts') ? fileURLToPath(new URL('../../..', import.meta.url)) : undefined
  const { version, devDependencies: tools } = about
  const language = python ? ('python' as const) : ('typescript' as const)
  const files = writeNewPackage({ directory, version, tools, language, ...(checkout && { checkout }) })
  for (const file of files) console.log(`  ${file}`)
  if (python) {
    const sdk = fileURLToPath(new URL('../../../python/make_wheels.py', import.meta.url))
    const spec = `pip:${isAbsolute(directory) ? '' : './'}${directory}`
    console.log(`\nNext: npx millrace install ${spec} && npx millrace serve --pipeline ${basename(resolve(directory))}`)
    console.log(`For its tests: cd ${directory} && python3 -m venv .venv && python3 ${sdk} sdk \\`)
    console.log(`  && .venv/bin/pip install --find-links sdk -e '.[test]' && .venv/bin/pytest`)
    return
  }
  console.log(`\nNext: cd ${directory} && npm install && npm test && npm start`)
  if (checkout) console.log(`It uses this checkout: run "npm run build" in ${checkout} once, first.`)
}
