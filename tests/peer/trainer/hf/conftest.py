"""Models that are made once."""

import pytest

pytest.importorskip("peft", reason="the extra `hf` is not installed")


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    from tests import base_models

    return base_models.save(base_models.llama(), tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory):
    from tests import base_models

    return base_models.save(base_models.gpt2(), tmp_path_factory.mktemp("gpt2"))
