"""Functions that generated source may need: their text is put into it, they are not run or imported here."""
