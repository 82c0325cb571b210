import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { PipelineEntry } from '../catalog/entry.ts'
import { Description, type Values } from '../protocol.ts'
import { PYTHON_SOURCES } from './program.ts'

const Kept = z.object({ key: z.string(), description: Description })

/**
 * Caches the descriptions of Python pipelines, a file each, so that a server need not import torch only to list them. A
 * file is valid for the same package, variant params and SDK. If the folder is read-only, nothing is cached.
 */
export class KeptDescriptions {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  read(entry: PipelineEntry, initial: Values): Description | undefined {
    const key = keyOf(entry, initial)
    const file = this.#file(entry)
    if (key === undefined || !existsSync(file)) return undefined
    try {
      const kept = Kept.parse(JSON.parse(readFileSync(file, 'utf8')))
      return kept.key === key ? kept.description : undefined
    } catch {
      // Truncated, or written by another version of the server.
      return undefined
    }
  }

  write(entry: PipelineEntry, initial: Values, description: Description): void {
    const key = keyOf(entry, initial)
    if (key === undefined) return
    const file = this.#file(entry)
    try {
      mkdirSync(this.#folder, { recursive: true })
      // Another server may read or write it at the same time.
      const draft = `${file}.${process.pid}`
      writeFileSync(draft, JSON.stringify({ key, description } satisfies z.input<typeof Kept>))
      renameSync(draft, file)
    } catch {
      // Read-only, as in some images.
    }
  }

  #file(entry: PipelineEntry): string {
    return join(this.#folder, `${entry.name}.json`)
  }
}

/**
 * Undefined for a pipeline that is not cached: a Node pipeline, which starts fast, or one that runs from its sources.
 */
function keyOf(entry: PipelineEntry, initial: Values): string | undefined {
  const { interpreter, entryFile, exportName, package: from } = entry
  if (!interpreter || entry.modules || isEditable(from.directory)) return undefined
  const changed = [entryFile, join(from.directory, 'RECORD'), join(PYTHON_SOURCES, 'millrace_pipeline/params.py')]
  const times = changed.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs)
  const facts = [interpreter, entryFile, exportName, from.name, from.version, initial, times]
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex')
}

/** PEP 610. */
function isEditable(info: string): boolean {
  const file = join(info, 'direct_url.json')
  return existsSync(file) && /"editable"\s*:\s*true/.test(readFileSync(file, 'utf8'))
}
