import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (file: string) => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'))

test('every dependency with an install script is allowed or denied explicitly, so npm prints no warning', () => {
  const { packages } = read('package-lock.json') as { packages: Record<string, { hasInstallScript?: boolean }> }
  const withScript = Object.entries(packages).flatMap(([path, { hasInstallScript }]) =>
    hasInstallScript && path ? path.replace(/^.*node_modules\//, '') : [],
  )
  const { allowScripts } = read('package.json') as { allowScripts: Record<string, boolean> }
  expect(Object.keys(allowScripts).sort()).toEqual([...new Set(withScript)].sort())
  // With CUDA it downloads 600 MB of libraries, which fails behind a firewall; the GPU image runs it explicitly.
  expect(allowScripts['onnxruntime-node']).toBe(false)
})
