"""The pages for browsers outside of the admin: the start page and those of errors.

Django finds `400.html`, `403.html`, `403_csrf.html`, `404.html` and `500.html` by their names
(`django.views.defaults`, `django.views.csrf`). They use no context: what was asked for is not repeated,
since paths name secrets, and the page of a 500 has to work without a database.
"""
