"""Read secrets to import. Each kind of source fills a `Candidates`. No Django, no database."""
