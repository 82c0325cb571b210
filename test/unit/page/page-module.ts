/** Imports a module of the page, which has no types. */
export function pageModule(path: string) {
  return import(new URL(`../../../public/${path}`, import.meta.url).href)
}
