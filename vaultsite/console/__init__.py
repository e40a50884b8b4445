"""Give the admin its look in Vaultsite: django-unfold, and the first page with its charts."""
