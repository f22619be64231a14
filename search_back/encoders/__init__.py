"""Encoders: text and pictures to unit vectors.

``load_encoder(name)`` gives one by its name. Concrete classes are imported when they are used:
a server that answers from exported towers never imports torch.
"""

from search_back.encoders.names import EncoderSpec, parse_name
from search_back.encoders.registry import load_encoder

__all__ = ["EncoderSpec", "load_encoder", "parse_name"]
