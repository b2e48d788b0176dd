"""An HDF5 file inside a part, described by a process of its own."""

from __future__ import annotations

from modelglot.containers.hdf5.described import MAGIC, Described, Packed, Run, described
from modelglot.features.scan.piece import Piece

__all__ = ["MAGIC", "described_piece"]


def described_piece(piece: Piece, attributes: tuple[str, ...] = ()) -> Described:
    """Raises what `described` raises."""
    window = piece.window
    file = Packed(window.data) if window.source is None else Run(window.source, window.offset, window.length)
    return described(file, piece.path, piece.limits, attributes)
