import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelFile } from '../../../../src/sdk/onnx/model-file.ts'

let folder: string
let modelDir: string
let base: string
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'mr-model-file-')))
  modelDir = join(folder, 'models')
  const own = join(folder, 'package')
  for (const path of [join(modelDir, 'depth'), join(own, 'models')]) mkdirSync(path, { recursive: true })
  for (const path of ['secret.onnx', 'models/a.onnx', 'models/depth/b.onnx', 'package/models/own.onnx'])
    writeFileSync(join(folder, path), '')
  symlinkSync(join(folder, 'secret.onnx'), join(modelDir, 'linked.onnx'))
  base = pathToFileURL(join(own, 'index.js')).href
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const find = (model: string) => modelFile(model, modelDir, base)

describe('the model of a param', () => {
  it('may be in MODEL_DIR, by its path relative to it or to the root', () => {
    expect(find('a.onnx')).toBe(join(modelDir, 'a.onnx'))
    expect(find('depth/b.onnx')).toBe(join(modelDir, 'depth/b.onnx'))
    expect(find(join(modelDir, 'a.onnx'))).toBe(join(modelDir, 'a.onnx'))
  })

  it('may be a link made by the operator', () => {
    expect(find('linked.onnx')).toBe(join(modelDir, 'linked.onnx'))
  })

  it('may be in the package itself', () => {
    expect(find('./models/own.onnx')).toBe(join(folder, 'package/models/own.onnx'))
  })

  it.each([
    () => join(folder, 'secret.onnx'),
    () => join(folder, 'none.onnx'),
    () => '../secret.onnx',
    () => 'depth/../../secret.onnx',
    () => './../secret.onnx',
    () => './models/../../none.onnx',
    () => `${modelDir}-other/a.onnx`,
  ])('may be nowhere else, whether the file exists or not', (path) => {
    expect(() => find(path())).toThrow(/^model: .* is not in (MODEL_DIR|the package), and only what is there is read/)
  })

  it('is searched in all places before it is reported missing', () => {
    expect(() => find('c.onnx')).toThrow(/there is no c\.onnx in MODEL_DIR/)
  })
})
