"""Work beside training: a second thread prepares what an exchange needs, and the loop only lets it land.

Encoding, hashing, decoding and judging take longer than an inner step. They work on snapshots, so that
training need not stop for them; what changes the weights waits for a turn between two inner steps.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager


class Turns:
    """Whose turn it is with the weights: the training loop's, but for the moments that it gives away.

    Without a loop, as in tests of what works beside it, every turn is free.
    """

    def __init__(self) -> None:
        self._weights = threading.Lock()
        self._asking = threading.Lock()

    @contextmanager
    def between_steps(self) -> Iterator[None]:
        """For the other thread: hold the weights, as soon as the inner step under way has ended."""
        with self._asking:
            self._weights.acquire()
        try:
            yield
        finally:
            self._weights.release()

    @contextmanager
    def training(self) -> Iterator[None]:
        """For the loop: hold the weights for good, but for `give` and `given`."""
        with self._weights:
            yield

    @property
    def wanted(self) -> bool:
        """Whether the other thread waits for its turn."""
        return self._asking.locked()

    def give(self) -> None:
        """For the loop: let the other thread have its turn, if it asks for one."""
        if self.wanted:
            with self.given():
                pass

    @contextmanager
    def given(self) -> Iterator[None]:
        """For the loop: the weights are not needed while it waits for something."""
        self._weights.release()
        try:
            yield
        finally:
            # Whoever asks comes first: a lock alone would most often go to the one who gave it away.
            with self._asking:
                self._weights.acquire()


class Beside:
    """One thread that does jobs in the order in which they come. What a job raises, `check` raises."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "beside")
        self._jobs: deque[Future[None]] = deque()

    def submit(self, job: Callable[[], None]) -> Future[None]:
        """Have something done, after all that was submitted before."""
        self._jobs.append(self._thread.submit(job))
        return self._jobs[-1]

    def check(self) -> None:
        """Raise what a job has raised, if one has."""
        while self._jobs and self._jobs[0].done():
            self._jobs.popleft().result()

    def finish(self) -> None:
        """Wait until nothing is left to do, and raise what a job has raised."""
        while self._jobs:
            self._jobs.popleft().result()

    def close(self) -> None:
        """Wait for the job under way; those that have not begun are dropped."""
        self._thread.shutdown(cancel_futures=True)
        self._jobs.clear()
