"""Access to PostgreSQL: pooled connections, transactions with after-commit callbacks, reads."""

from app.db.database import Connection, Database, Transaction

__all__ = ["Connection", "Database", "Transaction"]
