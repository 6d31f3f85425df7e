"""The queue's SQL, from app/queries/jobs.sql."""

from pathlib import Path
from typing import Any

import aiosql

SQL: Any = aiosql.from_path(Path(__file__).parent.parent / "queries" / "jobs.sql", "psycopg")
