/** Every path of the runner contract is answered with and without a trailing slash. */
export function bothWays(path: string): [string, string] {
  return [path, `${path}/`]
}
