"""Student to ONNX, OpenVINO and TFLite files, proved equal to it, in one bundle."""
