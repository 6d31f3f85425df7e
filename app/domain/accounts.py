"""Who takes part, and who would rather not."""

from app.clock import utcnow
from app.db import Transaction
from app.models import User
from app.repository import gifts, users


def ensure_user(tx: Transaction, did: str, handle: str, display_name: str | None = None) -> User:
    """The user of this DID, made or brought up to date; raises ValueError when it is no DID.

    Never changes whether they take part.
    """
    return users.ensure(tx.conn, did, handle, display_name)


def opt_out(tx: Transaction, user: User) -> User:
    """Nobody is told of the user from now on, and open offers to and from them end.

    Objects stay theirs.
    """
    gifts.settle_all_of_user(tx.conn, user.did, utcnow())
    return users.opt_out(tx.conn, user.did) or user


def opt_in(tx: Transaction, user: User) -> User:
    return users.opt_in(tx.conn, user.did) or user
