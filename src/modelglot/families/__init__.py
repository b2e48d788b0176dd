"""What is known of each architecture: names in each dialect, value transforms, hyper-parameters, tokenizer.

One family is one declarative file; `registry` lists them. Nothing here moves bytes or opens files.
"""
