"""Access to PostgreSQL: pooled connections, transactions with after-commit callbacks, reads."""

from app.db.connections import LOST, Connection, ServerLost
from app.db.database import Database, Transaction
from app.db.servers import ANY, LATEST, PRIMARY
from app.db.sockets import watched

__all__ = [
    "ANY",
    "LATEST",
    "LOST",
    "PRIMARY",
    "Connection",
    "Database",
    "ServerLost",
    "Transaction",
    "watched",
]
