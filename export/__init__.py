"""Student to ONNX, OpenVINO and TFLite files, proved equal to it, in one bundle."""

import logging

# while they are imported, the converters' libraries report what they would load on a GPU
for _library in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_library).setLevel(logging.ERROR)
