"""Several boxes on one Consul: who has which job, who lives, and who takes over from whom.

Everything stands in keys of its own beside the original's entries, which old
servers and scripts read. ``claims`` says what is written (pure), ``membership``
that this box lives and which others do, ``claiming`` what it says of its own jobs,
``entries`` keeps claim and entry of a job together, ``takeover`` sees to jobs of
boxes that are gone.
"""
