/** Exits with 0 if this container's server answers, else with 1 and the reason. */
const url = `http://127.0.0.1:${process.env.PORT || 8000}/health`

try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(4000) })
  const { status } = await answer.json()
  if (!answer.ok || status === 'ERROR') throw new Error(`${answer.status} ${status}`)
  console.log(status)
} catch (error) {
  console.log(`${url}: ${error.message}`)
  process.exitCode = 1
}
