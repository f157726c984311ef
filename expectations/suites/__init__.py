"""What does good data look like, for each kind?"""
