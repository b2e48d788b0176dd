"""What a page shows of a model: documents of plain data, each made when it is asked for."""
