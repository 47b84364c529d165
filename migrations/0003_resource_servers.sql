-- What resource servers are told: which clients' tokens were revoked, and which single ones.

-- +goose Up

-- One row. The version grows with each change of a bit, in the same transaction, so that a copy
-- in memory is known to be current by reading one number.
CREATE TABLE status_version (
    id      BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO status_version (id, version) VALUES (1, 1);

-- The version with which the bit changed last, 0 for never.
ALTER TABLE status_entries ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
-- When the position may be given to another client, 0 for one that is in use. The bit is cleared
-- some time before, so that nobody holds a list in which it is still set.
ALTER TABLE status_entries ADD COLUMN free_from BIGINT NOT NULL DEFAULT 0;
UPDATE status_entries SET changed = 1 WHERE revoked_at <> 0;
CREATE INDEX status_entries_by_change ON status_entries (changed) WHERE changed > 0;
CREATE INDEX status_entries_revoked ON status_entries (revoked_at) WHERE revoked_at > 0;

-- Tokens that their clients revoked, each until it would have expired.
CREATE TABLE revoked_tokens (
    jti        TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

-- +goose Down
DROP TABLE revoked_tokens;
DROP INDEX status_entries_revoked;
DROP INDEX status_entries_by_change;
ALTER TABLE status_entries DROP COLUMN free_from;
ALTER TABLE status_entries DROP COLUMN changed;
DROP TABLE status_version;
