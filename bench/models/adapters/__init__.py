"""One module per published system; a card names a class in it as `module:Class`."""
