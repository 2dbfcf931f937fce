"""What lies in the working directory is not taken for what is installed."""

import subprocess

from peer.programs import python


def test_a_part_of_this_program_does_not_look_in_the_working_directory(tmp_path):
    (tmp_path / "a_module_of_nobody.py").write_text("print('run')")
    done = subprocess.run(
        python("a_module_of_nobody"), cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert b"No module named a_module_of_nobody" in done.stderr
    assert done.stdout == b""
