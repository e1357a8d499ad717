"""The artifact store: digests, whole files, and the only code that writes a cache."""
