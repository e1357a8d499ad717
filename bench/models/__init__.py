"""The model protocols and one adapter module per published system; a card names an adapter as `module:Class`."""
