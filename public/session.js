import { Millrace } from './client/index.js'

const TOKEN_KEY = 'millrace-token'

/** Asks the user for a token; resolves with it, or undefined if the user cancels. Set by the page. */
let askToken = async () => undefined
let asking
/** After a cancelled dialog only user actions ask again, not background requests. */
let declined = false

export function onTokenNeeded(ask) {
  askToken = ask
}

/** Kept until the tab is closed. */
export const token = () => sessionStorage.getItem(TOKEN_KEY) ?? undefined

export function setToken(value) {
  declined = false
  if (value) sessionStorage.setItem(TOKEN_KEY, value)
  else sessionStorage.removeItem(TOKEN_KEY)
}

async function onUnauthorized({ background }) {
  if (background && declined) return false
  asking ??= askToken(token() !== undefined).finally(() => {
    asking = undefined
  })
  const given = await asking
  if (given) setToken(given)
  else declined = true
  return given !== undefined
}

/** The server that served this page. */
export const millrace = new Millrace(new URL('.', location.href), { token, onUnauthorized })
