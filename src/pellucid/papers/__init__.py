"""Papers, a module each: their tables, published numbers and claims, and what trains, measures and tells them."""
