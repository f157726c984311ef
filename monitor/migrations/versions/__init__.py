"""The steps, one file each: what changed in the run store, in order?"""
