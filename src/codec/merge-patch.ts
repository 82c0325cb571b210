// JSON Merge Patch (RFC 7396).
// Bound: each value of the patch is visited once, and each key beside it copied once; what comes out is at most target
// and patch together.

/** Applies a patch (§2): null removes a key, objects merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    // Assigning this key would change the object's prototype.
    else if (key !== '__proto__') result[key] = mergePatch(result[key], value)
  }
  return result
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
