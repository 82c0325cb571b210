/** Makes `dist/`, which is laid out as the repository is, so that code finds its neighbours in both. */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')
const DECLARATION = /(from |import\()(['"])(\.{1,2}\/[^'"]+)\.ts\2/g

rmSync(DIST, { recursive: true, force: true })
const tsc = spawnSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', join(ROOT, 'tsconfig.build.json')], {
  stdio: 'inherit',
})
if (tsc.status !== 0) process.exit(tsc.status ?? 1)

// tsc turns `./x.ts` into `./x.js` in the code only.
for (const path of readdirSync(DIST, { recursive: true, encoding: 'utf8' })) {
  if (!path.endsWith('.d.ts')) continue
  const file = join(DIST, path)
  writeFileSync(file, readFileSync(file, 'utf8').replace(DECLARATION, '$1$2$3.js$2'))
}

const { name, version, license, type, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
// `millrace new` names the tools' versions.
const about = { name, version, license, type, private: true, devDependencies }
writeFileSync(join(DIST, 'package.json'), `${JSON.stringify(about, null, 2)}\n`)
cpSync(join(ROOT, 'src/scaffold/template'), join(DIST, 'src/scaffold/template'), { recursive: true })
// The runner and SDK of Python pipelines run from their sources.
cpSync(join(ROOT, 'python'), join(DIST, 'python'), {
  recursive: true,
  filter: (path) => !/__pycache__|\.egg-info|\/build$/.test(path),
})
cpSync(join(ROOT, 'public'), join(DIST, 'public'), { recursive: true })
for (const pipeline of readdirSync(join(DIST, 'pipelines'))) {
  for (const file of ['package.json', 'README.md'])
    cpSync(join(ROOT, 'pipelines', pipeline, file), join(DIST, 'pipelines', pipeline, file))
}
