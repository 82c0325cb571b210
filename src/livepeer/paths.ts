/** Every path of the runner contract is answered with and without a slash at its end. */
export function bothWays(path: string): [string, string] {
  return [path, `${path}/`]
}
