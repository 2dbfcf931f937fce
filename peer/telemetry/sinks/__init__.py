"""Where else the numbers of a run may go: TensorBoard, Weights & Biases."""
