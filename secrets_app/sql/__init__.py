"""How statements are made and run. Knows Django's ORM, and no table of ours."""
