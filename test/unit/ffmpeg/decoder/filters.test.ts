import { describe, expect, it } from 'vitest'
import { decodedColour, decoderFilters } from '../../../../src/ffmpeg/decoder/filters.ts'

const colour = (matrix: number, fullRange = false) => ({ primaries: 1, transfer: 1, matrix, fullRange })

describe('the colours', () => {
  it('of yuv420p frames are unchanged where possible', () => {
    for (const matrix of [1, 5, 6, 9]) {
      const filters = decoderFilters({ format: 'yuv420p', source: { colour: colour(matrix) } })
      expect(filters).not.toContain('scale')
      expect(decodedColour(colour(matrix))).toEqual(colour(matrix))
    }
    expect(decoderFilters({ format: 'yuv420p' })).not.toContain('scale')
  })

  it('become limited range, and BT.601 where few players know the matrix', () => {
    const filters = decoderFilters({ format: 'yuv420p', source: { colour: colour(1, true) } })
    expect(filters).toContain('scale=in_color_matrix=bt709:in_range=pc:out_color_matrix=bt709:out_range=tv')
    expect(decodedColour(colour(1, true))).toEqual(colour(1))
    expect(decodedColour(colour(10))).toEqual(colour(6))
  })

  it('are BT.601 by default', () => {
    expect(decodedColour(undefined)).toEqual(colour(6))
    expect(decodedColour({ primaries: 2, transfer: 2, matrix: 2, fullRange: true })).toEqual(colour(6))
    expect(decoderFilters({ format: 'rgb24', source: {} })).toContain('in_color_matrix=bt601:in_range=tv')
  })
})
