"""`bench report`: a record as one self-contained HTML page."""
