/** Builds `dist/`, which has the repository's layout, so that relative paths work in both. */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')
const DECLARATION = /(from |import\()(['"])(\.{1,2}\/[^'"]+)\.ts\2/g

rmSync(DIST, { recursive: true, force: true })
// The client is already JavaScript and only gets declarations.
for (const project of ['tsconfig.build.json', 'tsconfig.client.json']) {
  const tsc = spawnSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', join(ROOT, project)], { stdio: 'inherit' })
  if (tsc.status !== 0) process.exit(tsc.status ?? 1)
}

// tsc rewrites `./x.ts` to `./x.js` in code only.
for (const path of readdirSync(DIST, { recursive: true, encoding: 'utf8' })) {
  if (!path.endsWith('.d.ts')) continue
  const file = join(DIST, path)
  writeFileSync(file, readFileSync(file, 'utf8').replace(DECLARATION, '$1$2$3.js$2'))
}

const { name, version, license, type, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
// `millrace new` needs the versions of the tools.
const about = { name, version, license, type, private: true, devDependencies }
writeFileSync(join(DIST, 'package.json'), `${JSON.stringify(about, null, 2)}\n`)
for (const template of ['template', 'template-python'])
  cpSync(join(ROOT, 'src/scaffold', template), join(DIST, 'src/scaffold', template), { recursive: true })
// The runner and SDK of Python pipelines run from their sources.
cpSync(join(ROOT, 'python'), join(DIST, 'python'), {
  recursive: true,
  filter: (path) => !/__pycache__|\.egg-info|\/build$|python\/tests|check\.sh|requirements-checks/.test(path),
})
cpSync(join(ROOT, 'public'), join(DIST, 'public'), { recursive: true })
for (const pipeline of readdirSync(join(DIST, 'pipelines'))) {
  for (const file of ['package.json', 'README.md'])
    cpSync(join(ROOT, 'pipelines', pipeline, file), join(DIST, 'pipelines', pipeline, file))
}
