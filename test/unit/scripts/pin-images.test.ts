import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pinned } from '../../../scripts/pin-images.ts'

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')
const digest = (digit: string) => `sha256:${digit.repeat(64)}`

test('every external image gets its digest, and a new one replaces an old one', () => {
  const text = [
    'FROM node:24-slim AS build',
    'FROM build',
    'FROM $' + '{IMAGE}',
    '    image: a/b:1.2',
    '    image: ours',
  ].join('\n')
  const asked: string[] = []
  const once = pinned(text, (image) => {
    asked.push(image)
    return digest('a')
  })
  expect(asked).toEqual(['node:24-slim', 'a/b:1.2'])
  expect(once).toContain(`FROM node:24-slim@${digest('a')} AS build\nFROM build\nFROM $`)
  expect(once).toContain(`    image: a/b:1.2@${digest('a')}\n    image: ours`)
  expect(pinned(once, () => digest('b'))).toBe(once.replaceAll(digest('a'), digest('b')))
})

test.each([
  ['docker/Dockerfile', ['node:24-bookworm-slim']],
  ['docker/Dockerfile.gpu', ['node:24-bookworm-slim', 'nvidia/cuda:']],
  ['docker/examples/cached/Dockerfile', ['node:24-bookworm-slim']],
  ['compose.yaml', ['prom/prometheus:', 'grafana/grafana:', 'coturn/coturn:']],
])('those of %s are found', (file, images) => {
  const asked = new Set<string>()
  pinned(read(file), (image) => {
    asked.add(image)
    return digest('0')
  })
  for (const image of images) expect([...asked].some((one) => one.startsWith(image))).toBe(true)
})
