"""Other processes, and whoever waits for them: messages, progress, patience, no network."""
