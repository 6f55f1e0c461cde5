"""Who may run: one pure admit(), the line it takes them from, and who holds what.

Two things are scarce: workers, and job ids, which one job has at a time unless
it is allowed to run beside others. Both are given out together, by ``admit``,
and reserved in the same step of the event loop, by ``slots``. A job that wants
to run again (another attempt, a suspension that ended) joins as it did the
first time; whoever stops wanting to leaves by ``Slots.give_back`` or ``release``.
"""
