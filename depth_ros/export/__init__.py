"""Export of networks to ONNX, and training of the network for the simulator."""
