-- What the monitor measured, for the charts of the status page: one row for each line of a chart and
-- look, of the last day. By time, as they are read and forgotten.
CREATE TABLE samples (
    at      timestamptz NOT NULL,
    series  text NOT NULL,
    label   text NOT NULL,
    value   float8 NOT NULL,
    PRIMARY KEY (at, series, label)
);
