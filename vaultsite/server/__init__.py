"""The way of a request from the socket to Django, and of its answer back.

granian reads the request's head and calls `application.Application` by ASGI, which shows every header line
as it was sent. `headers` makes a WSGI environ of them, `bodies` waits on the event loop until a body is
complete, `threads` runs Django, and `answers` sends what Django said. docs/adr/0037-server.md says why.
"""
