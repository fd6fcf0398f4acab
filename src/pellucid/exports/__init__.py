"""A trained network out again: plain weights, ONNX, torch.export, and a folder for the Hugging Face Hub."""

from pellucid.exports.export import FORMATS, Written, export

__all__ = ["FORMATS", "Written", "export"]
