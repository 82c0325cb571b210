import type { Browser, Locator } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { press as button, ParamsForm, pick as radio, type Step } from '../../helpers/browser/params-form.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'

let python: PythonFolder
let server: TestServer
let browser: Browser
let form: ParamsForm

beforeAll(async () => {
  python = await installPythonFixtures('my-pipeline', 'odd-pipelines')
  ;[server, browser] = await Promise.all([
    startServer({ env: { PIPELINE_DIR: python.directory, WARM_PIPELINES: '0' } }),
    launchChromium(),
  ])
  await http('POST', `${server.url}/test-pattern/demo?pipeline=py-every-param`)
  form = await ParamsForm.open(browser, server.url)
}, 400_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
  python?.[Symbol.dispose]()
})

const field = (name: string) => form.field(name)

const slider = (at: Locator, name?: string) => at.getByRole('slider', name === undefined ? {} : { name })

const STEPS: Step[] = [
  ['below an exclusive bound', 'strength', (at) => slider(at).press('End'), 0.99],
  ['above an exclusive bound', 'strength', (at) => slider(at).press('Home'), 0.01],
  ['None in place of a number', 'strength', (at) => at.getByRole('switch').uncheck(), null],
  ['the last multiple', 'steps', (at) => slider(at).press('End'), 96],
  ['the first multiple', 'steps', (at) => slider(at).press('Home'), 8],
  ['a seed of 64 bits', 'seed', (at) => at.getByRole('spinbutton').fill('9007199254740991'), 9007199254740991],
  ['a whole number where there was None', 'maybe', (at) => at.getByRole('spinbutton').fill('-3'), -3],
  ['None again', 'maybe', (at) => at.getByRole('spinbutton').fill(''), null],
  ['a switch', 'flag', (at) => at.getByRole('switch').uncheck(), false],
  ['yes, no or None', 'tristate', (at) => radio(at, 'Off'), false],
  ['an Enum', 'mode', (at) => radio(at, 'Good'), 'good'],
  ['an Enum or None', 'any_mode', (at) => radio(at, 'Fast'), 'fast'],
  ['a Literal of several types', 'choice', (at) => radio(at, 'X'), 'x'],
  ['a text', 'name', (at) => at.getByRole('textbox').fill('lake'), 'lake'],
  ['a date', 'day', (at) => at.locator('input').fill('2026-02-28'), '2026-02-28'],
  ['a member of a model', 'box', (at) => slider(at, 'Left').fill('0.25'), { left: 0.25, right: 1 }],
  ['its last position', 'box', (at) => slider(at, 'Left').press('End'), { left: 1, right: 1 }],
  ['a model where there was None', 'crop', (at) => at.getByRole('switch').check(), { left: 0, right: 1 }],
  ['None again', 'crop', (at) => at.getByRole('switch').uncheck(), null],
  [
    'a model that contains itself',
    'tree',
    (at) => button(at, 'Add to children'),
    { name: 'root', children: [{ name: 'root', children: [] }] },
  ],
  ['a discriminated union', 'pet', (at) => at.getByRole('combobox').selectOption('Dog'), { kind: 'dog', tricks: [] }],
  ['a tuple', 'pair', (at) => at.getByRole('textbox').fill('b'), [1, 'b']],
  ['a set', 'tags', (at) => at.getByRole('checkbox', { name: 'C', exact: true }).check(), ['c']],
  [
    'a dict',
    'weights',
    async (at) => {
      await button(at, 'Add to weights')
      await at.getByLabel('Weights 1, name').fill('calm')
      await at.getByLabel('Weights 1, value').fill('0.5')
    },
    { calm: 0.5 },
  ],
  [
    'one of two types',
    'either',
    async (at) => {
      await at.getByRole('combobox').selectOption('Text')
      await at.getByRole('textbox').fill('three')
    },
    'three',
  ],
  ['anything as JSON', 'free', (at) => at.getByRole('textbox').fill('{"a":[1]}'), { a: [1] }],
]

it('every kind of param of a pydantic model has a control that sets it', async () => {
  await form.take(STEPS)
}, 180_000)

it('a secret is typed in and never shown again; a value the model refuses is reported at its field', async () => {
  await field('key').getByLabel('Key', { exact: true }).fill('s3cret')
  await form.page.getByText(/Applied, revision \d+/).waitFor()
  expect(await field('key').locator('.error:visible').count()).toBe(0)
  expect(JSON.stringify(await form.params())).not.toContain('s3cret')
  await field('name').getByRole('textbox').fill('x')
  await field('name').getByText('At least 2 characters.').waitFor()
})

it.each([
  ['desktop', 1440, 900, 'light'],
  ['phone', 390, 844, 'dark'],
] as const)('they fit a %s', async (name, width, height, scheme) => {
  const own = await ParamsForm.open(browser, server.url, { width, height }, scheme)
  await own.expectFit(`params-python-${name}-${scheme}`)
  await own.close()
})
