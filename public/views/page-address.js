const VIEWS = ['output', 'pair', 'divider']

/**
 * Reads the page's address: `view` (output, pair or divider), `split` in percent, `pipeline` and `params`; undefined
 * where absent.
 */
export function readAddress(search = location.search) {
  const query = new URLSearchParams(search)
  const view = query.get('view')
  const split = query.has('split') ? Number(query.get('split')) : Number.NaN
  return {
    view: VIEWS.includes(view) ? view : undefined,
    split: split >= 0 && split <= 100 ? split : undefined,
    pipeline: query.get('pipeline') ?? undefined,
    params: paramsOf(query.get('params')),
  }
}

function paramsOf(text) {
  try {
    const params = JSON.parse(text ?? 'null')
    return params !== null && typeof params === 'object' && !Array.isArray(params) ? params : undefined
  } catch {
    return undefined
  }
}

/** Writes the view into the page's address, so that it survives a reload and is part of a shared link. */
export function keepView(view, split) {
  const query = new URLSearchParams(location.search)
  query.set('view', view)
  if (view === 'divider') query.set('split', split)
  else query.delete('split')
  history.replaceState(history.state, '', `?${query}`)
}

/** The page's address with a pipeline and params, for a link that shows the same. */
export function addressWith(pipeline, params) {
  const url = new URL(location.href)
  if (pipeline) url.searchParams.set('pipeline', pipeline)
  if (Object.keys(params).length > 0) url.searchParams.set('params', JSON.stringify(params))
  else url.searchParams.delete('params')
  return url.href
}
