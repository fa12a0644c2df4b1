def check(programs, options):
    raise NotImplementedError
