import { realpathSync, statSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import semver from 'semver'
import { AppError } from '../../core/errors.ts'

/** One package to install, checked to be harmless as an argument of npm. */
export type InstallSpec = {
  kind: 'registry' | 'tarball' | 'git'
  /** In npm's form. */
  argument: string
}

/** RFC 3986's unreserved characters, and those that package names, versions, paths and URLs also need. */
const HARMLESS = /^[A-Za-z0-9@/._~+:#-]+$/
const NAME = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/
const GIT = /^git\+(https|ssh):\/\/[^#]+#[0-9a-f]{40}$/
const ACCEPTED =
  'a name with an exact version (my-pipeline@1.2.3), a .tgz file below the working directory or PIPELINE_DIR, or a git URL with a full commit (git+https://example.org/my-pipeline.git#0123…)'

/**
 * Parses one spec of `AUTO_INSTALL_PIPELINE`. A spec must name fixed contents: no ranges, tags, branches or folders.
 * Files must be in one of `folders`. Throws `invalid-request` with the accepted forms.
 */
export function readSpec(spec: string, folders: readonly string[]): InstallSpec {
  const refuse = (why: string): never => {
    throw new AppError(
      'invalid-request',
      `AUTO_INSTALL_PIPELINE: ${JSON.stringify(spec)} ${why}; accepted: ${ACCEPTED}`,
    )
  }
  if (spec.startsWith('-')) return refuse('looks like an option')
  if (!HARMLESS.test(spec)) return refuse('has characters that no package needs')
  if (spec.startsWith('git+')) {
    if (!GIT.test(spec) || spec.includes('..')) return refuse('is not a git address with a whole commit')
    return { kind: 'git', argument: spec }
  }
  const path = spec.startsWith('file:') ? spec.slice('file:'.length) : spec
  if (/^(\.|\/|~)/.test(path) || spec.startsWith('file:')) return readTarball(path, folders, refuse)
  const at = spec.lastIndexOf('@')
  const [name, version] = at > 0 ? [spec.slice(0, at), spec.slice(at + 1)] : [spec, '']
  if (!NAME.test(name)) return refuse('is not the name of a package')
  if (semver.valid(version) !== version) return refuse(version ? `names no exact version` : 'has no version')
  return { kind: 'registry', argument: spec }
}

function readTarball(path: string, folders: readonly string[], refuse: (why: string) => never): InstallSpec {
  if (!/\.(tgz|tar\.gz)$/.test(path)) return refuse('is not a .tgz file')
  const [base = '.'] = folders
  let file: string
  try {
    file = realpathSync(resolve(base, path))
  } catch {
    return refuse('does not exist')
  }
  // Links are resolved: the real location counts.
  const inside = folders.some((folder) => isBelow(file, folder))
  if (!inside) return refuse('lies outside of the folders that are searched')
  if (!statSync(file).isFile()) return refuse('is not a file')
  return { kind: 'tarball', argument: file }
}

function isBelow(file: string, folder: string): boolean {
  try {
    const within = relative(realpathSync(folder), file)
    return within !== '' && !within.startsWith('..') && !isAbsolute(within)
  } catch {
    return false
  }
}
