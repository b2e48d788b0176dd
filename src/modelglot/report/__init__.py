"""Typed reports as text, for people: plain lines, coloured only on a terminal."""
