"""What is compiled of C, where the installation had a compiler."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

LIBRARY: Final = "_compiled"


class Graph(ctypes.Structure):
    """``graph`` of graph.c: addresses of arrays that the caller keeps alive."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("links", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("least", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("degree", ctypes.c_int32),
        ("dimension", ctypes.c_int32),
        ("is_half", ctypes.c_int32),
    )


class Lists(ctypes.Structure):
    """``lists`` of lists.c, likewise."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("ids", ctypes.c_void_p),
        ("sizes", ctypes.c_void_p),
        ("codebook", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("least", ctypes.c_void_p),
        ("list_count", ctypes.c_int64),
        ("row_count", ctypes.c_int64),
        ("parts", ctypes.c_int32),
        ("dimension", ctypes.c_int32),
        ("row_width", ctypes.c_int32),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The functions of graph.c, lists.c and texts.c; None where they were not compiled.

    Other threads of Python run while one of them does.
    """
    folder = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        path = folder / f"{LIBRARY}{suffix}"
        if path.is_file():
            break
    else:
        return None
    try:
        found = ctypes.CDLL(str(path))
    except OSError:  # made for another processor
        return None
    pointer, number, count = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
    answered = (number, number, pointer, pointer)
    found.graph_search.argtypes = [pointer, pointer, count, pointer, number, pointer, *answered]
    found.graph_search.restype = count
    found.graph_compare.argtypes = [pointer, pointer, count, pointer, pointer, count, number]
    found.graph_compare.argtypes += [pointer]
    found.graph_compare.restype = number
    found.graph_link_back.argtypes = [pointer, count, number, number]
    found.graph_link_back.restype = None
    found.lists_searchable.argtypes = []
    found.lists_searchable.restype = number
    found.lists_search.argtypes = [pointer, pointer, count, pointer, pointer, number]
    found.lists_search.argtypes += [pointer, count, count, number, count, pointer, pointer]
    found.lists_search.restype = count
    for measure in (found.texts_measure, found.large_texts_measure):
        measure.argtypes = [pointer, pointer, count, pointer, count, pointer]
        measure.restype = count
    for copy in (found.texts_copy, found.large_texts_copy):
        copy.argtypes = [pointer, pointer, pointer, count, pointer, pointer]
        copy.restype = None
    return found
