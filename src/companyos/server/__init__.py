"""The server: it composes the routes of all pillars into one ASGI application, guards its edges and runs its loops.

``companyos.server.app.create_app`` makes the application; ``companyos.server.run.run`` serves it on a socket. This
package re-exports nothing, so that looking at a setting does not import a web framework.
"""
