"""Models as SavedModel, TFLite and ONNX, each proven equal to the model it came from."""
