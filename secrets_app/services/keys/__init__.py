"""Everything that is done to keys: drawing, rotating, rewrapping, checking, counting them."""
