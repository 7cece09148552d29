"""What Alembic runs for each command; the connection and its transaction come from ``core.schema``."""

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    # Offline: the statements are printed and nothing is touched (`companyos db upgrade --dry-run`).
    context.configure(dialect_name=context.config.attributes["dialect"], literal_binds=True)
    context.run_migrations()
else:
    # SQLite has transactional DDL; Alembic assumes otherwise unless told.
    context.configure(connection=connection, transactional_ddl=True)
    context.run_migrations()
