"""A pool of threads behind a queue that has an end."""

from __future__ import annotations

import threading

from waitress.task import ThreadedTaskDispatcher

from search_back.server.listening.channel import JsonChannel


class BoundedDispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """``threads`` requests are answered at a time, ``max_waiting`` more may wait for a thread."""

    def __init__(self, *, threads: int, max_waiting: int) -> None:
        super().__init__()
        self.queue_cv = _LastComeFirst(self.lock)
        self._max_waiting = max_waiting
        self.set_thread_count(threads)

    @property
    def waiting(self) -> int:
        """Requests for which there is no thread: not those that one is just waking up for."""
        idle: int = len(self.threads) - self.stop_count - self.active_count
        return max(0, len(self.queue) - max(0, idle))

    def offer(self, channel: JsonChannel) -> bool:
        """Queue the channel's request, unless too many wait."""
        if self.waiting >= self._max_waiting:
            return False
        self.add_task(channel)
        return True

    def add_task(self, task: JsonChannel) -> None:
        with self.lock:
            self.queue.append(task)
            self.queue_cv.notify()


class _LastComeFirst:
    """A condition that wakes who began to wait last, whose memory is still in the caches."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._waiting: list[threading.Condition] = []

    def wait(self) -> None:
        mine = threading.Condition(self._lock)
        self._waiting.append(mine)
        mine.wait()

    def notify(self) -> None:
        if self._waiting:
            self._waiting.pop().notify()

    def notify_all(self) -> None:
        while self._waiting:
            self.notify()
