"""The validating webhook: what is told to a user at once. The controller remains the authority."""
