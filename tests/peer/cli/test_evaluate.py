import msgspec
import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.errors import DataError, DeviceError, ModelError, UsageError
from peer.models.report import Evaluation
from peer.trainer import sources


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(sources.embedded("austen")[:500])
    return path


def _evaluate(*arguments):
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_people_see_each_replica_and_their_average(swarm, text):
    lines = _evaluate(text, "--home", swarm).splitlines()
    assert "500 B, 500 tokens" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["peer-0", "peer-1", "peer-2", "their"]
    _, step, loss, perplexity, bits = lines[2].split()
    assert step == "8"
    assert float(perplexity) == pytest.approx(2.718281828 ** float(loss), rel=1e-3)
    assert float(bits) == pytest.approx(float(loss) / 0.6931472, rel=1e-3)


def test_programs_read_the_same(swarm, text):
    told = msgspec.json.decode(_evaluate(text, "--home", swarm, "--json"), type=Evaluation, strict=True)
    assert (told.bytes, told.tokens, len(told.run_id)) == (500, 500, 64)
    assert [one.kind for one in told.models] == ["replica"] * 3 + ["average"]


def test_an_export_alone(swarm, text, tmp_path):
    CliRunner().invoke(app, ["export", str(tmp_path / "model"), "--home", str(swarm)])
    both = msgspec.json.decode(_evaluate(text, "--home", swarm, "--json"), type=Evaluation)
    told = msgspec.json.decode(_evaluate(text, "--model", tmp_path / "model", "--json"), type=Evaluation)
    (one,) = told.models
    assert (one.name, one.kind) == ("model", "exported")
    assert one.loss == pytest.approx(both.models[-1].loss, abs=1e-7)


def test_one_home_has_no_average(swarm, text):
    told = msgspec.json.decode(_evaluate(text, "--home", swarm / "peer-1", "--json"), type=Evaluation)
    assert [one.name for one in told.models] == ["peer-1"]


def test_mistakes_are_told(swarm, text, tmp_path):
    with pytest.raises(ModelError, match="holds no exported model"):
        _evaluate(text, "--model", tmp_path)
    with pytest.raises(UsageError, match="--home and --model"):
        _evaluate(text, "--model", tmp_path, "--home", swarm)
    text.write_bytes(b"")
    with pytest.raises(DataError, match="too short"):
        _evaluate(text, "--home", swarm)
    with pytest.raises(DeviceError):
        _evaluate(text, "--home", swarm, "--device", "abacus")
