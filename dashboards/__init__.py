"""What happened, and why?"""
