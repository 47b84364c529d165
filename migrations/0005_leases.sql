-- What one server does for all, when each of it was done last, and the certificates they share.

-- +goose Up

-- One row for each kind of work that one server at a time may do (docs/decisions/0019).
CREATE TABLE leases (
    name   TEXT   NOT NULL PRIMARY KEY,
    holder TEXT   NOT NULL, -- empty when it was given back
    fence  BIGINT NOT NULL, -- one more with each holder
    beat   BIGINT NOT NULL  -- one more every few seconds, while the holder lives
);

CREATE TABLE job_runs (
    name        TEXT   NOT NULL PRIMARY KEY,
    last_run_at BIGINT NOT NULL
);

-- What servers keep for ACME: the account's key, certificates with their keys, and tokens.
CREATE TABLE acme_files (
    name   TEXT NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL -- with the master key
);

-- +goose Down
DROP TABLE acme_files;
DROP TABLE job_runs;
DROP TABLE leases;
