"""The inbox."""

from psycopg.types.json import Jsonb

from app.db import Connection
from app.models import Mention
from app.repository import clean, load

_SQL = load("mentions")

TEXT_LENGTH = 10_000  # a post has 3,000 bytes at most; whoever sends more is cut


def add(conn: Connection, mention: Mention) -> bool:
    """Stores a mention; False when its post is there already, which then stays as it is."""
    added = _SQL.add(
        conn,
        uri=mention.uri,
        cid=mention.cid,
        author_did=mention.author_did,
        author_handle=clean(mention.author_handle, 253),
        text=clean(mention.text, TEXT_LENGTH),
        facets=Jsonb(mention.facets),
        reply_root=Jsonb(mention.reply_root) if mention.reply_root else None,
        reply_parent=Jsonb(mention.reply_parent) if mention.reply_parent else None,
        source=mention.source,
        indexed_at=mention.indexed_at,
        received_at=mention.received_at,
    )
    return bool(added)


def get(conn: Connection, uri: str) -> Mention | None:
    row = _SQL.get(conn, uri=uri)
    return Mention(**row) if row else None


def mark_deleted(conn: Connection, uri: str) -> bool:
    """Notes that the post is gone; False when it was unknown or noted before."""
    return bool(_SQL.mark_deleted(conn, uri=uri))
