"""What the service answers over HTTP: health and status."""
