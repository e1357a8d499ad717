"""Face crops: finding faces, following one person through a clip, cutting, and writing what the readers read."""
