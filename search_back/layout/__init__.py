"""A map: embeddings laid out in two dimensions, in clusters that are named by their captions.

::

    pca       coordinates along the widest directions
    tsne      neighbours kept together, by openTSNE: the extra ``map``
    clusters  groups of embeddings
    words     the words of a caption, in any script
    names     the words that tell most of a cluster
    sample    some ids of many
    maps      all of these: from a snapshot to a map

Pure numpy but for faiss, which parts the clusters, and openTSNE.
"""

from search_back.layout.maps import Cluster, Map, MapMethod, MapQuery, lay_out

__all__ = ["Cluster", "Map", "MapMethod", "MapQuery", "lay_out"]
