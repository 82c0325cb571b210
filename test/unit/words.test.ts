import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Words with a better replacement, and patterns for their other meanings. */
const WORDS: { left: RegExp; say: string; except?: RegExp }[] = [
  // RFC 4585 and the browser API say "picture"; `codec/` refers to pictures of H.264 and HEVC.
  {
    left: /\bpictures?\b/i,
    say: 'frame',
    except: /picture[- ]loss|picture-in-picture|picture in picture|test-picture/i,
  },
  { left: /\bsounds?\b/i, say: 'audio' },
  { left: /\bguardian/i, say: 'supervisor' },
  { left: /\bevenness\b/i, say: 'jitter', except: /unevenness/i },
  { left: /\bstrangers?\b/i, say: 'publisher, viewer or anyone' },
  { left: /\bParamsDesk|\bdesk\b/i, say: 'params store', except: /at a desk/i },
  { left: /\bjunction\b/i, say: 'frame loop' },
  { left: /the (waiting|reloading) (picture|frame)/i, say: 'overlay' },
]

function* files(folder: string, endings: RegExp): Generator<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* files(path, endings)
    else if (endings.test(entry.name)) yield path
  }
}

const texts = [
  ...files('src', /\.ts$/),
  ...files('public', /\.(js|html|css)$/),
  ...files('docs', /\.md$/),
  ...files('python', /\.py$/),
].filter((path) => !path.startsWith('src/codec/'))

test.each(WORDS)('$say is said, and not $left', ({ left, except }) => {
  const found = [...texts, 'README.md', 'CONTRIBUTING.md'].flatMap((path) =>
    readFileSync(join(ROOT, path), 'utf8')
      .split('\n')
      .map((line, index) => ({ line, where: `${path}:${index + 1}` }))
      .filter(({ line }) => left.test(line) && !except?.test(line))
      .map(({ line, where }) => `${where}: ${line.trim()}`),
  )
  expect(found.filter((line) => !line.startsWith('docs/decisions/'))).toEqual([])
})

test('links in the docs lead to existing files', () => {
  const pages = [...files('docs', /\.md$/), ...files('pipelines', /\.md$/), ...files('docker', /\.md$/)]
  const broken = [...pages, 'README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].flatMap((page) => {
    const text = readFileSync(join(ROOT, page), 'utf8').replace(/```[\s\S]*?```/g, '')
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target.split('#')[0]!)
      .filter((target) => target && !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
      .map((target) => `${page}: ${target}`)
  })
  expect(broken).toEqual([])
})
