-- The core: what may be asked for, who may ask, and what signs the answer.
--
-- One text for SQLite and PostgreSQL. Ids are TEXT, times are BIGINT Unix seconds with 0 for
-- "never", lists that are always read whole are JSON in TEXT.

-- +goose Up

-- Every id that was ever given to a Section, or to a keyspace or capability (these two share one
-- space). Rows stay when the thing is deleted, so that no id is ever used again.
CREATE TABLE used_ids (
    space TEXT NOT NULL, -- 'section' or 'permission'
    id    TEXT NOT NULL,
    PRIMARY KEY (space, id)
);

CREATE TABLE sections (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE keyspaces (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    actions    TEXT   NOT NULL, -- JSON list
    created_at BIGINT NOT NULL
);

CREATE TABLE capabilities (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    actions    TEXT    NOT NULL, -- JSON list
    enabled    BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL
);

-- One row. The version grows with each change of a Section, keyspace or capability, in the same
-- transaction, so that a copy in memory is known to be current by reading one number.
CREATE TABLE catalog (
    id      BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO catalog (id, version) VALUES (1, 1);

-- Bits of the status lists. A position is given to one client at a time; revoked_at sets its bit.
CREATE TABLE status_entries (
    position   BIGINT NOT NULL PRIMARY KEY, -- list number * 2^17 + index in the list
    client_id  TEXT   NOT NULL,
    revoked_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE clients (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    all_sections   BOOLEAN NOT NULL, -- holds section:*
    audiences      TEXT    NOT NULL, -- JSON list, empty for the server's
    token_lifetime BIGINT  NOT NULL, -- seconds, 0 for the server's
    signing_alg    TEXT    NOT NULL, -- '' for the server's
    disabled       BOOLEAN NOT NULL,
    expires_at     BIGINT  NOT NULL,
    created_at     BIGINT  NOT NULL,
    created_by     TEXT    NOT NULL,
    status_index   BIGINT  NOT NULL UNIQUE REFERENCES status_entries (position),

    -- What the next three tables say of the client, in one row for the token path. They are written
    -- from those tables at the end of each transaction that changes one (clients.Store.derive).
    sections    TEXT NOT NULL DEFAULT '', -- ids, separated by a blank
    permissions TEXT NOT NULL DEFAULT '', -- target:action, separated by a blank
    secrets     TEXT NOT NULL DEFAULT ''  -- id,hash,expires_at, separated by a blank
);
CREATE INDEX clients_by_age ON clients (created_at, id);

CREATE TABLE client_sections (
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    section_id TEXT NOT NULL REFERENCES sections (id),
    PRIMARY KEY (client_id, section_id)
);
CREATE INDEX client_sections_by_section ON client_sections (section_id, client_id);

CREATE TABLE client_permissions (
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    target    TEXT NOT NULL, -- a keyspace, a capability, '*' or 'wardkey'
    action    TEXT NOT NULL,
    PRIMARY KEY (client_id, target, action)
);
CREATE INDEX client_permissions_by_target ON client_permissions (target, action, client_id);

CREATE TABLE client_secrets (
    id         TEXT   NOT NULL PRIMARY KEY,
    client_id  TEXT   NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    hash       TEXT   NOT NULL, -- SHA-256, base64url
    hint       TEXT   NOT NULL, -- the last four characters
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX client_secrets_by_client ON client_secrets (client_id);

-- When each secret last got a token; rows outlive their secrets, so that the client's last use is
-- known. Nothing refers to this table and it refers to nothing: many uses are written at once,
-- and one of a client that was deleted meanwhile must not hold up the others.
CREATE TABLE secret_uses (
    client_id    TEXT   NOT NULL,
    secret_id    TEXT   NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, secret_id)
);

-- What is left of a deleted client, for the admin who asks where it went.
CREATE TABLE deleted_clients (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    deleted_at BIGINT NOT NULL,
    deleted_by TEXT   NOT NULL
);

-- One row. The generation grows with each change of the signing keys; whoever changes them names
-- the generation that it saw, and loses if another server was quicker.
CREATE TABLE keyring (
    id         BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
);
INSERT INTO keyring (id, generation) VALUES (1, 0);

CREATE TABLE signing_keys (
    kid          TEXT   NOT NULL PRIMARY KEY, -- RFC 7638 thumbprint
    alg          TEXT   NOT NULL,
    state        TEXT   NOT NULL, -- pending, active, retired
    private_key  TEXT   NOT NULL, -- PKCS #8, sealed with the master key, base64
    created_at   BIGINT NOT NULL,
    activates_at BIGINT NOT NULL, -- a pending key signs from then on
    activated_at BIGINT NOT NULL,
    retired_at   BIGINT NOT NULL,
    removes_at   BIGINT NOT NULL  -- a retired key leaves the JWKS then
);

CREATE TABLE admins (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL UNIQUE, -- lower case
    password_hash TEXT   NOT NULL, -- argon2id, PHC string
    role          TEXT   NOT NULL, -- owner, admin, viewer
    created_at    BIGINT NOT NULL
);

-- +goose Down
DROP TABLE admins;
DROP TABLE signing_keys;
DROP TABLE keyring;
DROP TABLE deleted_clients;
DROP TABLE secret_uses;
DROP TABLE client_secrets;
DROP TABLE client_permissions;
DROP TABLE client_sections;
DROP TABLE clients;
DROP TABLE status_entries;
DROP TABLE catalog;
DROP TABLE capabilities;
DROP TABLE keyspaces;
DROP TABLE sections;
DROP TABLE used_ids;
