"""The embedded miniature: drawn faces in every dataset's layout, and tiny networks in the official containers."""
