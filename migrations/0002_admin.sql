-- What admins do and need to know: the audit log, people and their sessions, the life of secrets,
-- how they are used, why requests were refused, and finding one client among many.

-- +goose Up

-- One row for every act, in the transaction of the act. Rows are added and never changed: each
-- carries a hash over itself and the hash before it, and a seal that only the master key makes.
CREATE TABLE audit_events (
    seq         BIGINT NOT NULL PRIMARY KEY, -- 1, 2, 3 … without a gap
    id          TEXT   NOT NULL UNIQUE,
    at          BIGINT NOT NULL,
    actor_kind  TEXT   NOT NULL, -- client, admin, command_line, server, nobody
    actor_id    TEXT   NOT NULL,
    actor_name  TEXT   NOT NULL,
    action      TEXT   NOT NULL, -- client.create, secret.revoke …
    target_kind TEXT   NOT NULL,
    target_id   TEXT   NOT NULL,
    target_name TEXT   NOT NULL,
    client_id   TEXT   NOT NULL, -- the client that it is about, '' for none
    changes     TEXT   NOT NULL, -- JSON: {"member": {"before": …, "after": …}}
    ip          TEXT   NOT NULL,
    request_id  TEXT   NOT NULL,
    hash        TEXT   NOT NULL,
    seal        TEXT   NOT NULL
);
CREATE INDEX audit_events_by_client ON audit_events (client_id, seq);
CREATE INDEX audit_events_by_actor ON audit_events (actor_id, seq);
CREATE INDEX audit_events_by_action ON audit_events (action, seq);
CREATE INDEX audit_events_by_time ON audit_events (at, seq);

-- One row: where the log ends.
CREATE TABLE audit_head (
    id   BIGINT NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL,
    seal TEXT   NOT NULL
);
INSERT INTO audit_head (id, seq, hash, seal) VALUES (1, 0, '', '');

-- What a POST with an Idempotency-Key made, so that a retry does not make it twice.
CREATE TABLE idempotency_keys (
    actor      TEXT   NOT NULL,
    key_hash   TEXT   NOT NULL, -- HMAC-SHA256, base64url
    operation  TEXT   NOT NULL, -- method and path
    body_hash  TEXT   NOT NULL,
    made       TEXT   NOT NULL, -- the id of what was made
    created_at BIGINT NOT NULL,
    PRIMARY KEY (actor, key_hash)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

ALTER TABLE admins ADD COLUMN one_time_password BOOLEAN NOT NULL DEFAULT FALSE; -- somebody else knows it
ALTER TABLE admins ADD COLUMN one_time_until BIGINT NOT NULL DEFAULT 0; -- from then on it opens nothing
ALTER TABLE admins ADD COLUMN last_sign_in_at BIGINT NOT NULL DEFAULT 0;

CREATE TABLE sessions (
    token      TEXT   NOT NULL PRIMARY KEY, -- SHA-256 of what the cookie holds
    id         TEXT   NOT NULL UNIQUE,
    admin_id   TEXT   NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    ip         TEXT   NOT NULL,
    user_agent TEXT   NOT NULL,
    data       TEXT   NOT NULL, -- base64
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_admin ON sessions (admin_id, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Failed sign-ins in a row, by account and by address, and how long the next one must wait.
CREATE TABLE sign_in_failures (
    -- 'account <hash>', 'account <hash> at <address>' where it is known, 'address <address>' or
    -- 'password <admin id>'
    subject          TEXT    NOT NULL PRIMARY KEY,
    failures         BIGINT  NOT NULL,
    last_at          BIGINT  NOT NULL,
    blocked_until    BIGINT  NOT NULL,
    refusal_recorded BOOLEAN NOT NULL -- somebody came before that, and it is in the audit log
);

-- Where admins signed in during the last 30 days. What fails there and what fails elsewhere is
-- counted apart.
CREATE TABLE sign_in_addresses (
    admin_id TEXT   NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    address  TEXT   NOT NULL, -- an IPv4 address, or an IPv6 network of 64 bits
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (admin_id, address)
);
CREATE INDEX sign_in_addresses_by_time ON sign_in_addresses (last_at);

-- A secret that was revoked stays for a while with its end in the past, so that whoever still
-- uses it can be told from whoever never had it.
ALTER TABLE client_secrets ADD COLUMN revoked_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE client_secrets ADD COLUMN revoked_by TEXT NOT NULL DEFAULT '';
-- The end that a secret had before an overlap gave it another; -1 if none did. Cancelling the
-- rotation brings it back.
ALTER TABLE client_secrets ADD COLUMN expires_before_overlap BIGINT NOT NULL DEFAULT -1;

-- How often each secret got tokens in each hour, and from where. Rows of two days are kept.
CREATE TABLE secret_activity (
    client_id    TEXT   NOT NULL,
    secret_id    TEXT   NOT NULL,
    hour         BIGINT NOT NULL, -- Unix time / 3600
    address      TEXT   NOT NULL, -- '' for all beyond the first of the hour
    uses         BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, secret_id, hour, address)
);
CREATE INDEX secret_activity_by_hour ON secret_activity (hour);

-- Refused token requests, counted; rows of seven days are kept.
CREATE TABLE refusals (
    bucket    TEXT   NOT NULL PRIMARY KEY, -- a hash of the next six; error_ids lead to it
    client_id TEXT   NOT NULL, -- '' for an id that no client has or had
    id_hash   TEXT   NOT NULL, -- SHA-256 of the client_id as sent, without blanks around it, hex; '' for none
    cause     TEXT   NOT NULL,
    detail    TEXT   NOT NULL,
    address   TEXT   NOT NULL,
    hour      BIGINT NOT NULL, -- Unix time / 3600
    count     BIGINT NOT NULL,
    first_at  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL
);
CREATE INDEX refusals_by_id ON refusals (id_hash, last_at);
CREATE INDEX refusals_by_time ON refusals (last_at, bucket);

-- What clients are searched and sorted by, in narrow rows that are quick to go through. The signs
-- have a bit for each two or three neighbouring bytes of the text or the id, so that most rows
-- need not be compared (clients.signs); -1 has every bit.
CREATE TABLE client_search (
    client_id    TEXT    NOT NULL PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL, -- the greatest BIGINT for never, so that it comes last
    disabled     BOOLEAN NOT NULL,
    all_sections BOOLEAN NOT NULL,
    pair_signs   BIGINT  NOT NULL,
    triple_signs BIGINT  NOT NULL,
    more_signs   BIGINT  NOT NULL,
    id_signs     BIGINT  NOT NULL,
    name         TEXT    NOT NULL, -- folded
    text         TEXT    NOT NULL  -- name and description, folded
);
INSERT INTO client_search (client_id, created_at, expires_at, disabled, all_sections, pair_signs, triple_signs, more_signs, id_signs, name, text)
    SELECT id, created_at, CASE expires_at WHEN 0 THEN 9223372036854775807 ELSE expires_at END, disabled, all_sections, -1, -1, -1, -1,
        lower(name), lower(name || ' ' || description) FROM clients;
CREATE INDEX client_search_by_age ON client_search (created_at, client_id);
CREATE INDEX client_search_by_name ON client_search (name, client_id);
CREATE INDEX client_search_by_expiry ON client_search (expires_at, client_id);
CREATE INDEX client_search_by_signs ON client_search (pair_signs, triple_signs, more_signs, id_signs, client_id);
CREATE INDEX client_search_with_all_sections ON client_search (client_id) WHERE all_sections;
CREATE INDEX client_search_disabled ON client_search (client_id) WHERE disabled;

-- When each client last got a token, 0 for never: one row for each client, which the list sorted
-- by last use goes through. Like secret_uses it refers to nothing.
CREATE TABLE client_uses (
    client_id    TEXT   NOT NULL PRIMARY KEY,
    last_used_at BIGINT NOT NULL
);
INSERT INTO client_uses (client_id, last_used_at)
    SELECT id, (SELECT COALESCE(max(last_used_at), 0) FROM secret_uses WHERE client_id = clients.id) FROM clients;
CREATE INDEX client_uses_by_time ON client_uses (last_used_at, client_id);

ALTER TABLE deleted_clients ADD COLUMN folded_name TEXT NOT NULL DEFAULT '';
UPDATE deleted_clients SET folded_name = lower(name);
CREATE INDEX deleted_clients_by_age ON deleted_clients (deleted_at, id);

-- +goose Down
DROP INDEX deleted_clients_by_age;
ALTER TABLE deleted_clients DROP COLUMN folded_name;
DROP TABLE client_uses;
DROP TABLE client_search;
DROP TABLE refusals;
DROP TABLE secret_activity;
ALTER TABLE client_secrets DROP COLUMN expires_before_overlap;
ALTER TABLE client_secrets DROP COLUMN revoked_by;
ALTER TABLE client_secrets DROP COLUMN revoked_at;
DROP TABLE sign_in_addresses;
DROP TABLE sign_in_failures;
DROP TABLE sessions;
ALTER TABLE admins DROP COLUMN last_sign_in_at;
ALTER TABLE admins DROP COLUMN one_time_until;
ALTER TABLE admins DROP COLUMN one_time_password;
DROP TABLE idempotency_keys;
DROP TABLE audit_head;
DROP TABLE audit_events;
