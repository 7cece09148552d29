"""The ground: settings, time, ids, errors, keys, storage and access. It has no opinion about any pillar.

Import from the module that holds the name (``from companyos.core.errors import NotFound``); this package re-exports
nothing, so that a command which needs only one module does not pay for the rest.
"""
