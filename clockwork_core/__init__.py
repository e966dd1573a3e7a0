"""The engine of Clockwork: when to run which part of a UNet, and how. Knows neither nodes nor adaptors."""
