"""Where secrets are imported from: each kind of source fills a Haul. No Django, no database."""
