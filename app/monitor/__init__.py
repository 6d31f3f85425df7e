"""The monitor: watches a stack's parts, and says whether the phase reaches its objectives.

Every few seconds it scrapes the metrics of all processes, asks each PostgreSQL and Redis server and
tries the site as people do. What it learns is kept for an hour, in memory, so that any window of it
can be judged (`/slo`), and goes to PostgreSQL in small for the charts of `/status`. Nothing waits
for the monitor, and it survives the loss of whatever it watches.
"""
