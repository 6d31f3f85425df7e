DROP TABLE write_points, bluesky_sessions, cursors, jobs, replies, mentions, transactions, gifts,
    claims, objects, users;
