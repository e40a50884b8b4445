"""What the admin looks like in Vaultsite: django-unfold, the first page with its charts."""
