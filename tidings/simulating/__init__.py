"""Stories, and the engine that plays them."""
