import { expect } from 'vitest'
import { inOrder, type Stage } from './hosts.ts'

/** What is asked of every stream, whatever its pipeline does. */
export function viewerIsServed({ source }: Stage): void {
  expect(inOrder(source.shown)).toBe(true)
  expect(source.longestGap()).toBeLessThan(1000)
}
