"""The board of a whole run: is it one swarm, does it learn, and who is off."""

from deploy.grafana.layout import Board, Panel, Query, Variable
from deploy.grafana.queries import BYTES, PERCENT, RATE, SECONDS, each_peer, of_run, or_none, quantiles, stat

EXCHANGES = of_run("rate(murmuration_exchanges_total[$__rate_interval])")
SKIPS = of_run("increase(murmuration_skips_total[$__rate_interval])")
RUN = Variable("run", "Run", "label_values(murmuration_peer_info, run_id)")


def _swarm_numbers() -> tuple[Panel, ...]:
    return (
        stat("Peers", 'run:murmuration_peers:count{run_id="$run"}', "Peers of the run that are scraped."),
        stat(
            "Peers, as they see it",
            'run:murmuration_swarm_size:max{run_id="$run"}',
            "The size of the swarm as its peers tell it. Less than the peers that are scraped: a split.",
        ),
        stat(
            "Loss",
            'run:murmuration_loss_nats:avg{run_id="$run"}',
            "Training loss in nats a token, mean of all peers.",
            decimals=3,
        ),
        stat(
            "Tokens a second",
            'run:murmuration_tokens_per_second:sum{run_id="$run"}',
            "Tokens trained on by all peers together.",
            "short",
        ),
        stat(
            "Exchanges a minute",
            '60 * run:murmuration_exchanges:rate5m{run_id="$run", result="done"}',
            "Exchanges that were mixed, counted once at each of their two peers.",
            decimals=1,
        ),
        stat(
            "Alerts",
            'count(ALERTS{alertname=~"Murmuration.*", alertstate="firing"}) or vector(0)',
            "Alerts that fire now, of all runs.",
        ),
    )


SWARM = Board(
    "murmuration-swarm",
    "Murmuration: a swarm",
    (RUN,),
    (
        _swarm_numbers(),
        (
            each_peer(
                "Training loss",
                "murmuration_loss_nats",
                "Nats a token. All should fall together; one that leaves the others is off.",
            ),
            each_peer(
                "Consensus distance",
                "murmuration_consensus_distance_ratio",
                "How far a partner's weights were from the peer's at its last mix, over the size of its own. "
                "It rises at first and must not go on rising.",
                PERCENT,
            ),
        ),
        (
            each_peer(
                "Inner step",
                "murmuration_inner_step",
                "Slopes are the peers' pace. A fall is a trainer that went back to its checkpoint.",
            ),
            each_peer(
                "Peers in view",
                "murmuration_peers_in_view",
                "Others that answered when last asked. Two levels are two halves of a split.",
            ),
        ),
        (
            Panel(
                "Exchanges a second, by result",
                (Query(f"sum by (result) ({EXCHANGES})", "{{result}}"),),
                "done: mixed. refused: came whole and was not fit to mix. failed: broke on the way.",
            ),
            Panel(
                "Outer steps without a mix, by reason",
                (Query(or_none(f"sum by (reason) ({SKIPS})", "reason"), "{{reason}}"),),
                "A skip is normal; more skips than exchanges are not.",
            ),
        ),
        (
            each_peer(
                "Shares sent",
                'rate(murmuration_exchange_bytes_total{direction="out"}[$__rate_interval])',
                "Bytes of shares a second that partners pulled.",
                RATE,
            ),
            Panel(
                "Seconds an exchange takes",
                quantiles(of_run("rate(murmuration_exchange_seconds_bucket[$__rate_interval])")),
                "From the agreement to the end of the mix.",
                SECONDS,
            ),
        ),
        (
            each_peer("Tokens a second", "murmuration_tokens_per_second", "Pace of each peer.", "short"),
            each_peer("Trainer restarts", "murmuration_trainer_restarts_total", "Since the daemon started."),
            each_peer("Disk free", "murmuration_disk_free_bytes", "Where the peer's home lies.", BYTES),
        ),
        (
            Panel(
                "Who is here",
                (Query('murmuration_peer_info{run_id="$run"}'),),
                "What each peer is.",
                kind="table",
            ),
            Panel(
                "State",
                (Query(f"{of_run('murmuration_state')} == 1"),),
                "What each peer does now.",
                kind="table",
            ),
        ),
    ),
)
