"""HDF5 through h5py: groups walked, the place of each dataset's bytes, files laid out before the data is known."""
