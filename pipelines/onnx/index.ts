export { OnnxPipeline as Onnx } from 'millrace/onnx'
