"""What changed since the reference, and which rows should a model learn from?"""
