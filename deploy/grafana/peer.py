"""The board of one peer: is it well, with whom does it mix, and what stands in its way."""

from deploy.grafana.layout import Board, Panel, Query, Variable
from deploy.grafana.queries import (
    BYTES,
    PERCENT,
    RATE,
    SECONDS,
    grown,
    of_peer,
    or_none,
    quantiles,
    rate_of_peer,
    stat,
)

PEER = Variable("peer", "Peer", "label_values(murmuration_peer_info, instance)")


def _peer_numbers() -> tuple[Panel, ...]:
    return (
        Panel(
            "State",
            (Query(f"{of_peer('murmuration_state')} == 1", "{{state}}"),),
            "What the daemon does.",
            kind="stat",
        ),
        stat("Inner step", of_peer("murmuration_inner_step"), "Inner steps in this peer's weights."),
        stat("Loss", of_peer("murmuration_loss_nats"), "Training loss, nats a token.", decimals=3),
        stat(
            "Tokens a second",
            of_peer("murmuration_tokens_per_second"),
            "Over the trainer's last report.",
            "short",
        ),
        stat("Peers in view", of_peer("murmuration_peers_in_view"), "Others that answered when last asked."),
        stat(
            "Alone for",
            of_peer("murmuration_alone_seconds"),
            "Seconds since the last live peer was in view; 0 while one is.",
            SECONDS,
        ),
        stat("Up for", of_peer("murmuration_uptime_seconds"), "Since the daemon started.", SECONDS),
        stat("Trainer restarts", of_peer("murmuration_trainer_restarts_total"), "Since the daemon started."),
    )


def _one(title: str, metric: str, text: str, unit: str = "none") -> Panel:
    return Panel(title, (Query(of_peer(metric), title.lower()),), text, unit)


PEER_BOARD = Board(
    "murmuration-peer",
    "Murmuration: a peer",
    (PEER,),
    (
        _peer_numbers(),
        (
            _one("Training loss", "murmuration_loss_nats", "Nats a token, over the trainer's last report."),
            _one("Learning rate", "murmuration_learning_rate", "Of the last inner step."),
            _one("Tokens a second", "murmuration_tokens_per_second", "The trainer's pace.", "short"),
        ),
        (
            Panel(
                "Exchanges a second, by result",
                (Query(rate_of_peer("murmuration_exchanges_total"), "{{result}}"),),
                "done: mixed. refused: came whole and was not fit to mix. failed: broke on the way.",
            ),
            Panel(
                "Seconds an exchange takes",
                (
                    *quantiles(rate_of_peer("murmuration_exchange_seconds_bucket")),
                    Query(of_peer("murmuration_exchange_deadline_seconds"), "deadline"),
                ),
                "An exchange that takes longer than the deadline is given up.",
                SECONDS,
            ),
            Panel(
                "Outer steps without a mix, by reason",
                (
                    Query(
                        or_none(f"sum by (reason) ({grown('murmuration_skips_total')})", "reason"),
                        "{{reason}}",
                    ),
                ),
                "A skip is normal; more skips than exchanges are not.",
            ),
        ),
        (
            Panel(
                "Bytes a second, by way",
                (
                    Query(rate_of_peer("murmuration_stream_bytes_total"), "streams, {{direction}}"),
                    Query(rate_of_peer("murmuration_lane_bytes_total"), "lanes, {{direction}}"),
                    Query(rate_of_peer("murmuration_relay_bytes_total"), "carried for others"),
                ),
                "Streams are libp2p's; lanes carry shares beside them, faster.",
                RATE,
            ),
            Panel(
                "Consensus distance",
                (Query(of_peer("murmuration_consensus_distance_ratio"), "at the last mix"),),
                "The partner's weights minus ours, over the size of ours.",
                PERCENT,
            ),
            Panel(
                "Refusals, by reason",
                (
                    Query(
                        f"increase({of_peer('murmuration_refusals_total')}[$__rate_interval])", "{{reason}}"
                    ),
                ),
                "Partners' shares that were not fit to mix.",
            ),
        ),
        (
            Panel(
                "Connections",
                (
                    Query(of_peer("murmuration_connections"), "to peers"),
                    Query(of_peer("murmuration_relayed_connections"), "of them, through relays"),
                    Query(of_peer("murmuration_lanes"), "lanes"),
                    Query(of_peer("murmuration_dht_peers"), "peers in the DHT's table"),
                ),
                "A peer that nobody can dial has relayed connections, or few.",
            ),
            Panel(
                "Calls and streams that failed",
                (
                    Query(rate_of_peer("murmuration_calls_total", 'result!="answered"'), "{{result}}"),
                    Query(rate_of_peer("murmuration_handler_failures_total"), "streams"),
                    Query(rate_of_peer("murmuration_lane_failures_total"), "lanes, {{direction}}"),
                ),
                "A few are the internet; many are somebody hostile or of another version.",
            ),
            Panel(
                "Blocks that failed to decode",
                (Query(rate_of_peer("murmuration_blocks_total", 'result="failed"'), "a second"),),
                "With the codec modulo: sent again with more bits.",
            ),
        ),
        (
            Panel(
                "Disk",
                (
                    Query(of_peer("murmuration_disk_free_bytes"), "free"),
                    Query(of_peer("murmuration_disk_needed_bytes"), "needed for checkpoints"),
                ),
                "Where the home lies.",
                BYTES,
            ),
            Panel(
                "Checkpoints",
                (Query(of_peer("murmuration_checkpoints_total"), "{{result}}"),),
                "Since the daemon started.",
            ),
            Panel(
                "The daemon's memory",
                (Query(of_peer("process_resident_memory_bytes"), "resident"),),
                "Without the trainer's, which is a process of its own.",
                BYTES,
            ),
        ),
    ),
)
