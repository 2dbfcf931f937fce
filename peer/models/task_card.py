"""The card of a model that was trained on a plug-in's task: what it is, how it was made, how to load it."""

from peer.models.card import Provenance, rows, subject
from protocol.foreign import Task


def write(task: Task, made: Provenance) -> str:
    """Return the card as Markdown."""
    settings = ", ".join(f"{name}={value!r}" for name, value in sorted(task.settings.items()))
    return f"""# {made.run_name}

{made.parameters:,} parameters for the task `{task.name}`: {subject(made)} of a run of Murmuration, which
trains one model on many machines that nobody coordinates.

Run: `{made.run_id}`, outer rule `{made.preset}`.

{rows(made)}

## Use

The model is built by the package `{task.package}`, version {task.version} (hash of its source
`{task.source.hex()}`); here are the weights that were trained.

```python
from importlib.metadata import entry_points

from safetensors.torch import load_file

(found,) = entry_points(group="murmuration.tasks", name="{task.name}")
model = found.load()({settings}).model()
model.load_state_dict(load_file("path/to/this/folder/model.safetensors"), strict=False)
```

Not strict, as parameters that the task does not train are not in the file.
"""
