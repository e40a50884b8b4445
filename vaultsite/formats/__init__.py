"""How pages write times: the same everywhere, to the second, in UTC."""
