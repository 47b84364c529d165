-- What becomes of clients that nobody uses, and finding whose a leaked secret is.

-- +goose Up

ALTER TABLE clients ADD COLUMN keep_unused BOOLEAN NOT NULL DEFAULT FALSE; -- it is never suspended
ALTER TABLE clients ADD COLUMN suspended_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN resumed_at BIGINT NOT NULL DEFAULT 0; -- an admin wanted it then, which counts as a use
ALTER TABLE client_search ADD COLUMN suspended BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX client_search_suspended ON client_search (client_id) WHERE suspended;

-- The clients that are on their way out, with the last step that they took (clients.DisuseRule).
CREATE TABLE disuse (
    client_id    TEXT   NOT NULL PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
    unused_since BIGINT NOT NULL, -- it was used, made or resumed then
    step         BIGINT NOT NULL,
    taken_at     BIGINT NOT NULL  -- by disuse_clock.watched
);
CREATE INDEX disuse_by_step ON disuse (step, taken_at);
CREATE INDEX disuse_by_age ON disuse (unused_since, client_id);

-- One row. Watched counts the seconds in which some server was there to see a use; a clock that
-- is set forward adds none (docs/decisions/0023).
CREATE TABLE disuse_clock (
    id      BIGINT NOT NULL PRIMARY KEY,
    watched BIGINT NOT NULL,
    gap_at  BIGINT NOT NULL, -- the watched time when the clock was set forward last, or no server ran
    seen_at BIGINT NOT NULL
);
INSERT INTO disuse_clock (id, watched, gap_at, seen_at) VALUES (1, 0, 0, 0);

-- What was said before a client was suspended or deleted, each once.
CREATE TABLE disuse_notices (
    client_id  TEXT   NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    fate       TEXT   NOT NULL, -- suspension or deletion
    planned_at BIGINT NOT NULL, -- as it was told: whoever was told of another day is told anew
    days       BIGINT NOT NULL, -- before it: 15, 7 or 1
    at         BIGINT NOT NULL,
    PRIMARY KEY (client_id, fate, planned_at, days)
);

CREATE INDEX client_secrets_by_hash ON client_secrets (hash);

-- +goose Down
DROP INDEX client_secrets_by_hash;
DROP TABLE disuse_notices;
DROP TABLE disuse_clock;
DROP TABLE disuse;
DROP INDEX client_search_suspended;
ALTER TABLE client_search DROP COLUMN suspended;
ALTER TABLE clients DROP COLUMN resumed_at;
ALTER TABLE clients DROP COLUMN suspended_at;
ALTER TABLE clients DROP COLUMN keep_unused;
