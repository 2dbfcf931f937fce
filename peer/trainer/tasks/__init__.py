"""Tasks of plug-ins in place of the language model: model, data, loss and evaluation from elsewhere."""
