import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { readJson } from './manifest.ts'

const Patterns = z.array(z.string())
/** npm and Yarn: `workspaces`, a list or an object with one. */
const Root = z.object({ workspaces: z.union([Patterns, z.object({ packages: Patterns })]).optional() })
/** pnpm: `pnpm-workspace.yaml`. */
const PnpmRoot = z.object({ packages: Patterns.optional() })

/** The package folders of an npm, Yarn or pnpm workspace if this is its root. Throws if the patterns cannot be read. */
export function workspaceFolders(directory: string): string[] {
  const patterns = [...ofPackageJson(directory), ...ofPnpm(directory)]
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!'))
  const unwanted = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1))
  const exclude = [...unwanted, '**/node_modules/**']
  const found = wanted.flatMap((pattern) => globSync(pattern, { cwd: directory, exclude }))
  return [...new Set(found)]
    .sort()
    .map((path) => join(directory, path))
    .filter((path) => existsSync(join(path, 'package.json')))
}

function ofPackageJson(directory: string): string[] {
  const file = join(directory, 'package.json')
  if (!existsSync(file)) return []
  const { workspaces = [] } = Root.parse(readJson(file))
  return Array.isArray(workspaces) ? workspaces : workspaces.packages
}

function ofPnpm(directory: string): string[] {
  const file = join(directory, 'pnpm-workspace.yaml')
  if (!existsSync(file)) return []
  return PnpmRoot.parse(parse(readFileSync(file, 'utf8')) ?? {}).packages ?? []
}
