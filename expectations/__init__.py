"""Is this data fit to use, and which rows are not?"""
