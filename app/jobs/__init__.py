"""The job queue: durable in PostgreSQL, handed out through Redis where there is one."""
