const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`

/** A curl command line that makes this request. */
export function curlOf({ method, path, operation, origin, resolve }) {
  const parameters = operation.parameters ?? []
  const example = (parameter) => String(parameter.example ?? parameter.schema?.example ?? parameter.name)
  let filled = path
  for (const parameter of parameters.filter((one) => one.in === 'path')) {
    filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(example(parameter)))
  }
  const parts = ['curl']
  if (method !== 'get') parts.push('-X', method.toUpperCase())
  parts.push(quote(`${origin}${filled}`))
  for (const parameter of parameters.filter((one) => one.in === 'header' && one.required)) {
    parts.push('-H', quote(`${parameter.name}: *`))
  }
  if (operation.security?.length > 0) parts.push('-H', quote('Authorization: Bearer TOKEN'))
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
  if (type?.includes('json')) {
    parts.push('-H', quote(`Content-Type: ${type}`), '-d', quote(JSON.stringify(sample(content.schema, resolve))))
  } else if (type) parts.push('-H', quote(`Content-Type: ${type}`), '--data-binary', '@FILE')
  return parts.join(' ')
}

/** The required members of an object, each with a value of its type. */
function sample(given, resolve) {
  const { schema } = resolve(given)
  if (schema.example !== undefined) return schema.example
  const required = (schema.required ?? []).map((name) => [name, sample(schema.properties?.[name], resolve)])
  if (schema.type === 'object') return Object.fromEntries(required)
  return { string: 'text', number: 0, integer: 0, boolean: true, array: [] }[schema.type] ?? null
}
