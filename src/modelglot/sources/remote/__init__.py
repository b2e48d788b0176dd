"""Files that lie elsewhere: https, s3, gs, az through `obstore`, and the Hugging Face hub (see decision 0021)."""
