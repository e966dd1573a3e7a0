"""How the demo model was trained: pictures of icons, a small UNet with a text encoder, and hours of one CPU."""
