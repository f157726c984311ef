"""Is a model trained on those rows better, without becoming worse elsewhere?"""
