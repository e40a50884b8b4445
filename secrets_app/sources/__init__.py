"""Where secrets are imported from: each kind of source fills a Candidates. No Django, no database."""
