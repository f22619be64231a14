"""Which files of the disk may be shown, and pictures as they are sent and shown."""

from search_back.access.pictures import PictureAccess, decode_base64_picture

__all__ = ["PictureAccess", "decode_base64_picture"]
