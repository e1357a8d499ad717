"""A session, which is one machine's world opened, and a run from request to record."""
