"""What PostgreSQL is told, wherever it runs.

Numbers are in the units of `pg_settings`, so that what a server runs with can be compared.
"""

from infra.phases import PostgresSize

Parameters = dict[str, str | int]

_PAGES_PER_MB = 128

# TCP on loopback alone: a socket in the data folder would break pg_rewind and clones of the folder,
# and elsewhere its path may exceed the 107 bytes a socket address holds.
NO_SOCKETS: Parameters = {"unix_socket_directories": ""}


def of_any(size: PostgresSize) -> Parameters:
    """For every server."""
    return {
        "max_connections": size.max_connections,
        "shared_buffers": size.shared_buffers_mb * _PAGES_PER_MB,
        "password_encryption": "scram-sha-256",  # pragma: allowlist secret
        # Static, so on from day one: moving to the next phase copies by logical replication.
        "wal_level": "logical",
        "wal_log_hints": "on",
        "max_wal_size": 256,  # MB
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_duration_statement": 1000,  # ms
        # A failing statement's text may hold what a person wrote; the app logs its own errors.
        "log_min_error_statement": "panic",
        # So may the parameters of a slow one.
        "log_parameter_max_length": 0,  # bytes
    }


def of_member(size: PostgresSize) -> Parameters:
    """For a server with replicas, any of which may become the primary."""
    return {
        **of_any(size),
        # A replica that looks for its new primary would wait 5 s before it asks again.
        "wal_retrieve_retry_interval": 200,  # ms
        "wal_sender_timeout": 10_000,  # ms
        "wal_receiver_timeout": 10_000,  # ms
        # A replica that is away for long is copied anew rather than filling the primary's disk.
        "max_slot_wal_keep_size": 1024,  # MB
        # Replicas show the present: replay waits little for a query, and thanks to the feedback it
        # seldom has to.
        "hot_standby_feedback": "on",
        "max_standby_streaming_delay": 1000,  # ms
    }


# Whoever runs servers for us sizes memory and write-ahead log by the machine, and sees to the rest.
_LET_BY_HOSTS = (
    "max_connections",
    "password_encryption",
    "max_slot_wal_keep_size",
    "wal_sender_timeout",
    "wal_receiver_timeout",
    "hot_standby_feedback",
    "max_standby_streaming_delay",
    "timezone",
    "log_min_duration_statement",
    "log_min_error_statement",
    "log_parameter_max_length",
)
# Administration and monitoring take connections as well, and five are kept for emergencies.
HOSTS_CONNECTIONS = 10


def _of_hosted(size: PostgresSize) -> Parameters:
    """For primary and replicas alike: a replica refuses to start with fewer connections than its
    primary has."""
    given = of_member(size)
    return {
        **{name: given[name] for name in _LET_BY_HOSTS},
        "max_connections": size.max_connections + HOSTS_CONNECTIONS,
    }


def of_rds(size: PostgresSize) -> Parameters:
    """For every server of Amazon RDS."""
    # The first is what wal_level = logical is called there.
    return {**_of_hosted(size), "rds.logical_replication": 1, "rds.force_ssl": 1}


def of_cloudnativepg(size: PostgresSize, memory_mb: int) -> Parameters:
    """For every server of CloudNativePG, in a pod with so much memory."""
    return {**_of_hosted(size), "shared_buffers": memory_mb // 4 * _PAGES_PER_MB}
