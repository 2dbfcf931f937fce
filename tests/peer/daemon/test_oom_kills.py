from peer.daemon.oom_kills import kills


def test_the_kernel_counts_whom_it_ends(tmp_path):
    file = tmp_path / "vmstat"
    file.write_text("nr_free_pages 5\noom_kill 3\nnuma_hit 7\n\n")
    assert kills(file) == 3


def test_a_kernel_that_does_not_count(tmp_path):
    file = tmp_path / "vmstat"
    file.write_text("nr_free_pages 5\n")
    assert kills(file) is None
    assert kills(tmp_path / "absent") is None
