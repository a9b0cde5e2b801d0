def states_page(figures, took_s): return str(figures)
def cuts_page(*a): return str(a)
