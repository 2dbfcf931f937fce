"""Pure tests on tensors."""

from hypothesis import settings

settings.register_profile("tensors", deadline=None)  # torch's first call takes most of a second
settings.load_profile("tensors")
