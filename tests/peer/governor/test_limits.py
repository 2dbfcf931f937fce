"""Limits as people write them, and as they are said back."""

import math
from dataclasses import fields

import pytest

from peer.errors import UsageError
from peer.governor.limits import KEYS, Limits, caps_in_words, in_words, parse, pauses_in_words
from peer.governor.per_gpu import PerGpu


def test_every_limit_is_a_key_and_every_key_a_limit():
    assert [field.name for field in fields(Limits)] == list(KEYS)


def test_nothing_given_makes_room_for_others_and_spares_the_battery():
    limits = parse({})
    assert limits == Limits()
    assert (limits.pause_for_others, limits.pause_on_battery, limits.upload) == (True, True, math.inf)
    assert in_words(limits) == ("pauses on battery, while others use the GPU",)
    assert in_words(parse({"pause_for_others": False, "pause_on_battery": False})) == ()


@pytest.mark.parametrize(
    ("key", "value", "meant", "said"),
    [
        ("pause_for_others", False, False, "on battery"),
        ("pause_on_battery", False, False, "while others use the GPU"),
        ("pause_at_keyboard", "5min", 300.0, "for 5 min after a person was at the keyboard"),
        ("max_temperature", 80, PerGpu(80), "above 80 °C"),
        ("max_temperature", "79.5 °C", PerGpu(79.5), "above 79.5 °C"),
        ("max_temperature", "80C", PerGpu(80), "above 80 °C"),
        ("max_power", "250W", PerGpu(250), "above 250 W"),
        ("max_power", 250.0, PerGpu(250), "above 250 W"),
        (
            "max_temperature",
            "1=70, 0=80 °C",
            PerGpu(None, ((0, 80), (1, 70))),
            "above 80 °C (GPU 0), 70 °C (GPU 1)",
        ),
        ("max_power", "3=250W", PerGpu(None, ((3, 250),)), "above 250 W (GPU 3)"),
        (
            "gpu_memory",
            "0=80%,1=12GB",
            PerGpu(None, ((0, 0.8), (1, 1.2e10))),
            "80% (GPU 0), 12.0 GB (GPU 1) of the GPU's memory",
        ),
        ("upload", "10Mbit", 1.25e6, "10 Mbit/s up"),
        ("download", "2.5MB/s", 2.5e6, "20 Mbit/s down"),
        ("traffic", "50GB", 5e10, "50.0 GB of traffic a month"),
        ("disk", "20GB", 2e10, "20.0 GB of disk"),
        ("memory", "16GB", 1.6e10, "16.0 GB of memory"),
        ("gpu_memory", "80%", PerGpu(0.8), "80% of the GPU's memory"),
        ("gpu_memory", "12GB", PerGpu(1.2e10), "12.0 GB of the GPU's memory"),
    ],
)
def test_values_mean_what_they_say(key, value, meant, said):
    limits = parse({key: value})
    assert getattr(limits, key) == meant
    assert said in (*pauses_in_words(limits), *caps_in_words(limits))
    assert said in ", ".join(in_words(limits))


def test_hours_are_said_as_they_were_written():
    limits = parse({"hours": "Mon-Fri 19:00-07:00, sat"})
    assert pauses_in_words(limits, gpu=False) == ("outside Mon-Fri 19:00-07:00, sat", "on battery")


@pytest.mark.parametrize("example", KEYS.values(), ids=KEYS)
def test_every_example_can_be_read(example):
    text = example.example
    example.read(
        {"true": True}.get(text, text.strip('"') if '"' in text else int(text) if text.isdigit() else text)
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("speed", 1, "there is no limit 'speed'"),
        ("trafic", "5GB", "there is no limit 'trafic'; did you mean traffic?"),
        ("max-power", 250, "there is no limit 'max-power'; did you mean max_power?"),
        ("hours", "night", "hours: 'night' names no hours"),
        ("hours", 22, "hours: 22 names no hours"),
        ("pause_on_battery", "yes", "pause_on_battery: 'yes' is neither"),
        ("pause_for_others", 1, "pause_for_others: 1 is neither"),
        ("pause_at_keyboard", 5, "pause_at_keyboard: '5' is no duration"),
        ("max_temperature", True, "max_temperature: True is no number"),
        ("max_temperature", "hot", "max_temperature: 'hot' is no number"),
        ("max_temperature", "-5C", "max_temperature: '-5C' is not between 20 and 120"),
        ("max_power", "9" * 400, "max_power: '999"),
        ("max_temperature", 500, "max_temperature: 500 is not between"),
        ("max_power", "nan", "max_power: 'nan' is no number"),
        ("max_power", math.inf, "max_power: inf is no number"),
        ("max_temperature", "0=80,70", "max_temperature: '70' of '0=80,70' names no GPU"),
        ("max_temperature", "0=80,,1=70", "max_temperature: '' of '0=80,,1=70' names no GPU"),
        ("max_temperature", "-1=80", "max_temperature: '-1=80' of '-1=80' names no GPU"),
        ("max_temperature", "0=80,1=hot", "max_temperature: 'hot' is no number"),
        ("max_temperature", "0=80,0=70", "max_temperature: '0=80,0=70' names GPU 0 twice"),
        ("max_power", "0=", "max_power: '' is no number"),
        ("max_power", ",".join(f"{gpu}=200" for gpu in range(65)), "max_power: more than 64 GPUs"),
        ("memory", "0=1GB", "memory: '0=1GB' is no size"),
        ("upload", "1kbit", "upload: A limit of 1kbit is too low"),
        ("traffic", 50, "traffic: '50' is no size"),
        ("disk", "0GB", "disk: '0GB' is no size"),
        ("gpu_memory", "0%", "gpu_memory: '0%' is not between"),
        ("gpu_memory", "101%", "gpu_memory: '101%' is not between"),
        ("gpu_memory", 0.5, "gpu_memory: '0.5' is no size"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(key, value, message):
    with pytest.raises(UsageError) as caught:
        parse({key: value})
    assert caught.value.message.startswith(message)
    assert caught.value.remedy
