"""Arithmetic on elements and blocks: casts, byte order, strided gathers. numpy arrives on first use."""
