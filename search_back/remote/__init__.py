"""Files elsewhere, read and written through fsspec: s3, gs, hdfs, sftp, http, memory and others.

fsspec and what it needs for a scheme are imported when an address of that scheme is first used.
"""

from search_back.remote.addresses import is_remote, local_path
from search_back.remote.copies import LocalCopies, LocalCopy
from search_back.remote.look import RemoteFile, RemoteFolder, look
from search_back.remote.retries import Retries
from search_back.remote.upload import (
    RemoteState,
    journal_of,
    refuse_unwritable,
    remote_state,
    upload,
)

__all__ = [
    "LocalCopies",
    "LocalCopy",
    "RemoteFile",
    "RemoteFolder",
    "RemoteState",
    "Retries",
    "is_remote",
    "journal_of",
    "local_path",
    "look",
    "refuse_unwritable",
    "remote_state",
    "upload",
]
