import { fileURLToPath } from 'node:url'
import type { Browser, Locator } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MASK } from '../../../src/core/masked.ts'
import { EveryParam } from '../../fixtures/pipelines/every-param/every-param.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { press as button, ParamsForm, pick as radio, type Step } from '../../helpers/browser/params-form.ts'
import { http } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

let server: TestServer
let browser: Browser
let form: ParamsForm

beforeAll(async () => {
  server = await startServer({ env: { PIPELINE_DIR: FIXTURES, ...SMALL_FRAMES } })
  browser = await launchChromium()
  await fetch(`${server.url}/test-pattern/demo?pipeline=every-param`, { method: 'POST' })
  form = await ParamsForm.open(browser, server.url)
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

const params = () => form.params()
const field = (name: string) => form.field(name)
const inForce = (name: string, value: unknown) => form.inForce(name, value)

const exact = (at: Locator, text: string) => at.getByLabel('exact value').fill(text)
const file = { name: 'dot.png', mimeType: 'image/png', buffer: PNG }

const STEPS: Step[] = [
  ['a slider', 'amount', (at) => at.getByRole('slider').fill('0.73'), 0.73],
  ['its box', 'amount', (at) => exact(at, '0.123456'), 0.123456],
  ['a slider of multiples', 'tile', (at) => at.getByRole('slider').press('End'), 96],
  ['its first position', 'tile', (at) => at.getByRole('slider').press('Home'), 8],
  ['a slider of tenths', 'fine', (at) => at.getByRole('slider').press('Home'), 0.1],
  ['the last tenth', 'fine', (at) => at.getByRole('slider').press('End'), 2],
  ['below an exclusive bound', 'open', (at) => at.getByRole('slider').press('End'), 0.99],
  ['above an exclusive bound', 'open', (at) => at.getByRole('slider').press('Home'), 0.01],
  ['whole numbers between exclusive bounds', 'count', (at) => at.getByRole('slider').press('End'), 9],
  ['a number without bounds', 'loose', (at) => at.getByRole('spinbutton').fill('-1e3'), -1000],
  ['a number where there was none', 'floor', (at) => at.getByRole('spinbutton').fill('-1.5'), -1.5],
  ['none again', 'floor', (at) => at.getByRole('spinbutton').fill(''), null],
  ['a seed of 53 bits', 'seed', (at) => at.getByRole('spinbutton').fill('9007199254740991'), 9007199254740991],
  ['a slider that is switched off', 'guidance', (at) => at.getByRole('switch').uncheck(), null],
  ['and on again, where it was', 'guidance', (at) => at.getByRole('switch').check(), 7.5],
  ['the slider that is there then', 'guidance', (at) => at.getByRole('slider').press('End'), 20],
  ['a switch', 'flag', (at) => at.getByRole('switch').uncheck(), false],
  ['yes, no or none', 'tristate', (at) => radio(at, 'Off'), false],
  ['none of them', 'tristate', (at) => radio(at, 'None'), null],
  ['a choice', 'mode', (at) => radio(at, 'Good'), 'good'],
  ['a constant of another type', 'mixed', (at) => radio(at, '2'), 2],
  ['true as a constant', 'mixed', (at) => radio(at, 'true'), true],
  ['null as a constant', 'mixed', (at) => radio(at, 'None'), null],
  ['one of many', 'preset', (at) => at.getByRole('combobox').selectOption('Look j'), 'look_j'],
  ['a text', 'name', (at) => at.getByRole('textbox').fill('lake'), 'lake'],
  ['a text with a pattern', 'code', (at) => at.getByRole('textbox').fill('ZZ99'), 'ZZ99'],
  ['a long text', 'prompt', (at) => at.getByRole('textbox').fill('two\nlines'), 'two\nlines'],
  ['a secret', 'api_key', (at) => at.getByLabel('Api key', { exact: true }).fill('s3cret'), MASK],
  ['no secret', 'api_key', (at) => button(at, 'Reset Api key to its default'), ''],
  ['a form of text', 'mail', (at) => at.getByRole('textbox').fill('me@example.org'), 'me@example.org'],
  ['no text', 'mail', (at) => at.getByRole('textbox').fill(''), undefined],
  ['a day', 'day', (at) => at.locator('input').fill('2026-02-28'), '2026-02-28'],
  ['a time', 'since', (at) => at.locator('input').fill('2026-03-01T12:30:15'), '2026-03-01T12:30:15.000Z'],
  ['no time', 'since', (at) => at.locator('input').fill(''), null],
  ['a colour', 'tint', (at) => at.locator('input').fill('#123456'), '#123456'],
  ['a colour where there was none', 'shade', (at) => at.getByRole('switch').check(), '#000000'],
  ['another', 'shade', (at) => at.locator('input[type="color"]').fill('#abcdef'), '#abcdef'],
  ['a file', 'mask', (at) => at.locator('input').setInputFiles(file), PNG.toString('base64')],
  ['no file', 'mask', (at) => button(at, 'Remove mask'), ''],
  [
    'a member of an object',
    'region',
    (at) => at.getByRole('slider', { name: 'Left' }).fill('0.2'),
    { left: 0.2, right: 1, note: null },
  ],
  [
    'a member that was null',
    'region',
    (at) => at.getByRole('textbox').fill('here'),
    { left: 0.2, right: 1, note: 'here' },
  ],
  ['and is null again', 'region', (at) => at.getByRole('textbox').fill(''), { left: 0.2, right: 1, note: null }],
  [
    'an object where there was none',
    'crop',
    async (at) => {
      await at.getByRole('switch').check()
      await at.getByRole('slider', { name: 'Right' }).fill('0.6')
    },
    { left: 0, right: 0.6, note: null },
  ],
  ['none again', 'crop', (at) => at.getByRole('switch').uncheck(), null],
  [
    'a tree',
    'tree',
    async (at) => {
      await button(at, 'Add to children')
      await at.getByLabel('Name').nth(1).fill('branch')
      await at.getByRole('button', { name: 'Add to children' }).nth(0).click()
      await at.getByLabel('Name').nth(2).fill('leaf')
    },
    {
      name: 'root',
      children: [{ name: 'branch', children: [{ name: 'leaf', children: [] }] }],
    },
  ],
  [
    'a longer list',
    'tags',
    async (at) => {
      await button(at, 'Add to tags')
      await at.getByRole('textbox', { name: 'Tags 3' }).fill('three')
    },
    ['one', 'two', 'three'],
  ],
  ['another order', 'tags', (at) => button(at, 'Move Tags 3 up'), ['one', 'three', 'two']],
  ['a shorter list', 'tags', (at) => button(at, 'Remove Tags 1'), ['three', 'two']],
  ['a list of colours', 'colors', (at) => button(at, 'Add to colors'), ['#ff0000', '#000000']],
  [
    'some of a few',
    'classes',
    async (at) => {
      await at.getByRole('checkbox', { name: 'Bird' }).check()
      await at.getByRole('checkbox', { name: 'Cat' }).check()
    },
    ['cat', 'bird'],
  ],
  ['a list of which each stands once', 'sizes', (at) => button(at, 'Add to sizes'), [1, 2]],
  ['a list of objects', 'regions', (at) => button(at, 'Add to regions'), [{ left: 0, right: 1, note: null }]],
  ['a place of a tuple', 'point', (at) => at.getByRole('slider').nth(1).press('End'), [0.5, 1]],
  [
    'names of one’s own',
    'weights',
    async (at) => {
      await button(at, 'Add to weights')
      await at.getByLabel('Weights 2, name').fill('wild')
      await at.getByLabel('Weights 2, value').fill('0.25')
    },
    { calm: 1, wild: 0.25 },
  ],
  ['fewer of them', 'weights', (at) => button(at, 'Remove Weights 1'), { wild: 0.25 }],
  ['names that are fixed', 'sides', (at) => at.getByLabel('Bottom').fill('7'), { top: 1, bottom: 7 }],
  [
    'one of two objects',
    'filter',
    async (at) => {
      await at.getByRole('combobox').selectOption('Paint')
      await at.locator('input[type="color"]').fill('#ffffff')
    },
    { kind: 'paint', tone: '#ffffff' },
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
  [
    'anything as JSON',
    'extra',
    (at) => at.getByRole('textbox').fill('{"free":{"deep":null}}'),
    { free: { deep: null } },
  ],
]

/** Text that a control does not take, and what it says then. */
const REFUSED: [name: string, act: (field: Locator) => Promise<unknown>, says: string][] = [
  ['amount', (at) => exact(at, '7'), 'Between 0 and 1.'],
  ['tile', (at) => exact(at, '20'), 'A multiple of 8, such as 16 or 24.'],
  ['open', (at) => exact(at, '1'), 'More than 0, less than 1.'],
  ['floor', (at) => at.getByRole('spinbutton').fill('-2'), 'More than -2.'],
  ['seed', (at) => at.getByRole('spinbutton').fill('18446744073709551615'), 'exact up to 9007199254740991'],
  ['seed', (at) => at.getByRole('spinbutton').fill('1.5'), 'Enter a whole number.'],
  ['name', (at) => at.getByRole('textbox').fill('x'), 'At least 2 characters.'],
  ['mail', (at) => at.getByRole('textbox').fill('me'), 'Enter an e-mail address'],
  ['extra', (at) => at.getByRole('textbox').fill('[1]'), 'Enter an object'],
  ['weights', (at) => at.getByLabel('Weights 1, name').fill(''), 'At least 1 character.'],
]

/** The sliders in the order of the page, and where in their param each stands. */
const SLIDERS: [name: string, ...path: (string | number)[]][] = [
  ['amount'],
  ['tile'],
  ['fine'],
  ['open'],
  ['count'],
  ['guidance'],
  ['region', 'left'],
  ['region', 'right'],
  ['crop', 'left'],
  ['crop', 'right'],
  ['sizes', 0],
  ['sizes', 1],
  ['regions', 0, 'left'],
  ['regions', 0, 'right'],
  ['point', 0],
  ['point', 1],
  ['filter', 'radius'],
]

/** A copy with another value at a place inside. */
function withValue(whole: unknown, [step, ...rest]: (string | number)[], value: unknown): unknown {
  if (step === undefined) return value
  const copy = structuredClone(whole) as Record<string | number, unknown>
  copy[step] = withValue(copy[step], rest, value)
  return copy
}

describe('the controls for params', () => {
  it('set the value they show, for every kind of control', async () => {
    await form.take(STEPS)
  }, 180_000)

  it('offer no value the schema refuses, inside objects and lists too', async () => {
    await field('guidance').getByRole('switch').check()
    await field('crop').getByRole('switch').check()
    await field('filter').getByRole('combobox').selectOption('Blur')
    await inForce('filter', { kind: 'blur', radius: 4 })
    const sliders = await form.page.locator('.params > .field').evaluateAll((fields) =>
      fields.flatMap((one) =>
        [...one.querySelectorAll<HTMLInputElement>('.slider > input[type="range"]')].map((range) => {
          const before = range.value
          range.value = range.min
          const values = [Number(range.value)]
          for (let last = ''; last !== range.value && values.length < 2000; ) {
            last = range.value
            range.stepUp()
            if (range.value !== last) values.push(Number(range.value))
          }
          range.value = before
          return { name: (one as HTMLElement).dataset.param ?? '', values }
        }),
      ),
    )
    expect(sliders.map(({ name }) => name)).toEqual(SLIDERS.map(([name]) => name))
    const now = await params()
    for (const [index, { name, values }] of sliders.entries()) {
      expect(values.length).toBeGreaterThan(5)
      const [, ...path] = SLIDERS[index]!
      const refused = values.filter((value) => {
        const { success } = EveryParam.Params.safeParse({ [name]: withValue(now[name], path, value) })
        return !success
      })
      expect([name, ...path, refused]).toEqual([name, ...path, []])
    }
  })

  it('send the ends of sliders inside objects and lists', async () => {
    const at = (name: string) => field(name).getByRole('slider')
    await at('regions').nth(1).press('Home')
    await inForce('regions', [{ left: 0, right: 0, note: null }])
    await at('filter').press('End')
    await inForce('filter', { kind: 'blur', radius: 20 })
    await at('crop').first().press('End')
    // The value before it was switched off.
    await inForce('crop', { left: 1, right: 0.6, note: null })
  })

  it('roll a seed, and set width and height together', async () => {
    await button(field('seed'), 'Random seed')
    await waitFor('another seed', async () => (await params()).seed !== 9007199254740991)
    expect(Number.isSafeInteger((await params()).seed)).toBe(true)

    await form.page.getByText('Resolution and loading').click()
    const resolution = form.page.locator('.field[data-param="resolution"]')
    await resolution.getByRole('combobox').selectOption('320 × 240')
    await waitFor('the resolution', async () => (await params()).width === 320 && (await params()).height === 240)
    await resolution.getByRole('combobox').selectOption('Custom')
    await resolution.getByLabel('Width').fill('400')
    await waitFor('the width', async () => (await params()).width === 400)
    await resolution.getByRole('combobox').selectOption('Same as the source')
    await waitFor('the source’s own', async () => (await params()).width === undefined)
    expect(await resolution.locator('.error:visible').count()).toBe(0)
  })

  it('hold back a value the schema would refuse, and say what is allowed', async () => {
    const before = await params()
    for (const [name, act, says] of REFUSED) {
      await act(field(name))
      await field(name).getByText(says).first().waitFor()
    }
    expect(await params()).toEqual(before)
  })

  it('reset to their defaults, one by one and all at once', async () => {
    await button(field('guidance'), 'Reset Guidance to its default')
    await inForce('guidance', 7.5)
    await button(field('weights'), 'Reset Weights to its default')
    await inForce('weights', { calm: 1 })
    await form.page.getByRole('button', { name: 'Reset all' }).click()
    await waitFor('the defaults', async () => (await params()).tile === 16)
    expect(await params()).toMatchObject({ mixed: 'auto', seed: 42, tree: { name: 'root', children: [] } })
    expect(await field('tags').getByRole('textbox').count()).toBe(2)
  })

  it('follow changes by other clients, and keep them when something else is sent', async () => {
    const patch = { region: { left: 0.4 }, tags: ['new'], guidance: null, filter: { kind: 'paint', tone: '#010203' } }
    const answer = await http('PATCH', `${server.url}/streams/demo/params`, { body: patch })
    expect(answer.status).toBe(200)
    await waitFor('the list', async () => (await field('tags').getByRole('textbox').first().inputValue()) === 'new')
    expect(await field('region').getByLabel('Left, exact value').inputValue()).toBe('0.4')
    expect(await field('filter').locator('input[type="color"]').inputValue()).toBe('#010203')
    await radio(field('tristate'), 'On')
    await inForce('tristate', true)
    expect(await params()).toMatchObject({ tags: ['new'] })
  })

  it('do not go back to the value of a status that was asked for before an edit', async () => {
    const { page } = form
    const [asked, released, shown, asksAgain] = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
    let requests = 0
    await page.route('**/streams/demo', async (route) => {
      if (route.request().method() !== 'GET') return route.fallback()
      // The second waits until the page has been looked at: it would put everything right again.
      if (++requests > 1) asksAgain!.resolve()
      const response = await route.fetch()
      asked!.resolve()
      await (requests > 1 ? shown : released)!.promise
      await route.fulfill({ response })
    })
    await asked!.promise
    const text = field('name').getByRole('textbox')
    await text.fill('lake')
    await inForce('name', 'lake')
    await page.locator('.params-status', { hasText: 'Applied' }).waitFor()
    await text.blur()
    // As if the status had taken ten seconds.
    await page.evaluate('{ const { now } = Date; Date.now = () => now.call(Date) + 10_000 }')
    released!.resolve()
    await asksAgain!.promise
    expect(await text.inputValue()).toBe('lake')
    shown!.resolve()
    await page.unrouteAll({ behavior: 'wait' })
  })

  it('show changes by other clients only after the user has left the field', async () => {
    const text = field('tags').getByRole('textbox').first()
    await text.focus()
    expect(
      (await http('PATCH', `${server.url}/streams/demo/params`, { body: { tags: ['later'], tile: 32 } })).status,
    ).toBe(200)
    await waitFor(
      'another field',
      async () => (await field('tile').locator('input[type="number"]').inputValue()) === '32',
    )
    expect(await text.inputValue()).toBe('new')
    await text.blur()
    await waitFor('the field', async () => (await text.inputValue()) === 'later')
  })

  it.each([
    ['desktop', 1440, 900, 'light'],
    ['desktop', 1440, 900, 'dark'],
    ['phone', 390, 844, 'light'],
    ['phone', 390, 844, 'dark'],
  ] as const)('fit a %s, %d×%d, %s', async (name, width, height, scheme) => {
    const own = await ParamsForm.open(browser, server.url, { width, height }, scheme)
    await own.field('crop').getByRole('switch').check()
    await own.expectFit(`params-${name}-${scheme}`)
    await own.close()
  })
})
