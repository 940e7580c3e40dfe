"""The database schema, step by step: alembic versions, applied when the database is opened."""
