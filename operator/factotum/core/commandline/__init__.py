"""The words of ``factotum run`` and its companions: who may be given which, and what they mean."""
