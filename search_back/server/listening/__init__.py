"""From sockets to requests: what reads them, queues them, and refuses what is too much.

waitress reads and writes without blocking, so a slow client costs a file descriptor and no
thread. What is here bounds it: how long a request may take to arrive, how many may wait, how many
connections may be open; and makes it speak JSON and stop in time.
"""

from search_back.server.listening.channel import ARRIVED
from search_back.server.listening.server import BACKLOG, Bounds, HttpServer

__all__ = ["ARRIVED", "BACKLOG", "Bounds", "HttpServer"]
