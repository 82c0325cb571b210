"""Times an ONNX model by one provider of onnxruntime: with run(), which copies the inputs in and the results out, and bound
to memory of the device. Prints one JSON object; `absence` says why there are no figures.

Usage: onnx_providers.py MODEL WIDTH HEIGHT RUNS PROVIDER
"""

import json
import statistics
import sys
import time

WARM_UP = 5


def timed(runs, work):
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def measure(model, width, height, runs, provider):
    import numpy as np
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        return {"absence": f"this onnxruntime has {', '.join(ort.get_available_providers())}"}
    session = ort.InferenceSession(model, providers=[provider])
    if session.get_providers()[0] != provider:
        return {"absence": f"it cannot be used here; {session.get_providers()[0]} took its place"}
    name = session.get_inputs()[0].name
    outputs = [output.name for output in session.get_outputs()]
    frame = np.random.default_rng(1).random((1, 3, height, width), dtype=np.float32)
    device = "cpu" if provider == "CPUExecutionProvider" else "cuda"
    copied = timed(runs, lambda: session.run(outputs, {name: frame}))

    value = ort.OrtValue.ortvalue_from_numpy(frame, device, 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input(name, value)
    for output in outputs:
        binding.bind_output(output, device)

    def stays():
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    def there_and_back():
        value.update_inplace(frame)
        stays()
        binding.copy_outputs_to_cpu()

    result = {"version": ort.__version__, "copiedMs": copied, "boundMs": timed(runs, stays)}
    # The processor's own memory is bound as it is.
    if device != "cpu":
        result["boundWithCopiesMs"] = timed(runs, there_and_back)
    return result


def main():
    model, width, height, runs, provider = sys.argv[1:]
    try:
        result = measure(model, int(width), int(height), int(runs), provider)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is why there are no figures
        result = {"absence": f"{type(error).__name__}: {error}"[:500]}
    print(json.dumps(result))


main()
