/** Element types supported between JavaScript and a model, with the arrays that hold them. */
export type TensorData = {
  float32: Float32Array<ArrayBuffer>
  uint8: Uint8Array<ArrayBuffer>
  int8: Int8Array<ArrayBuffer>
  uint16: Uint16Array<ArrayBuffer>
  int16: Int16Array<ArrayBuffer>
  int32: Int32Array<ArrayBuffer>
  int64: BigInt64Array<ArrayBuffer>
  bool: Uint8Array<ArrayBuffer>
  /** IEEE 754 half-precision bit patterns. */
  float16: Uint16Array<ArrayBuffer>
  float64: Float64Array<ArrayBuffer>
  uint32: Uint32Array<ArrayBuffer>
  uint64: BigUint64Array<ArrayBuffer>
}
export type TensorType = keyof TensorData

/** Numbers with a shape, packed in row-major order. */
export type Tensor<T extends TensorType = TensorType> = {
  [K in T]: {
    type: K
    /** Dimensions, outermost first; their product is the length of `data`. */
    dims: readonly number[]
    data: TensorData[K]
  }
}[T]

/** What a model declares about one of its inputs or outputs. */
export type TensorInfo = {
  name: string
  type: string
  /** Outermost first; null for a dimension of any size. */
  dims: readonly (number | null)[]
}
