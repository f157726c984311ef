"""How does alembic reach the store? (alembic runs this file; the connection comes from `upgrade`.)"""

from alembic import context

from monitor.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # alembic assumes otherwise for SQLite, where a begun transaction holds DDL just as well
)
with context.begin_transaction():
    context.run_migrations()
