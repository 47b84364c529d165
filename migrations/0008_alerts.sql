-- What admins are told before something goes wrong, and how it reaches them.

-- +goose Up

-- One row for each thing that was told; rows of a year are kept. They are shown, in webhooks and
-- mails too, and nothing secret stands in one.
CREATE TABLE alerts (
    id              TEXT    NOT NULL PRIMARY KEY,
    told_once       TEXT    NOT NULL UNIQUE, -- what it tells of: the same is never told twice
    kind            TEXT    NOT NULL,
    client_id       TEXT    NOT NULL, -- '' for none
    client_name     TEXT    NOT NULL, -- as it was then
    text            TEXT    NOT NULL,
    raised_at       BIGINT  NOT NULL,
    muted           BOOLEAN NOT NULL, -- nobody wanted to hear of it then
    acknowledged_at BIGINT  NOT NULL,
    acknowledged_by TEXT    NOT NULL
);
CREATE INDEX alerts_by_time ON alerts (raised_at, id);
CREATE INDEX alerts_by_client ON alerts (client_id, raised_at, id);
CREATE INDEX alerts_open ON alerts (raised_at, id) WHERE acknowledged_at = 0 AND NOT muted;

-- What nobody wants to hear of, or one admin not by e-mail. '' stands for any kind, any client,
-- all admins.
CREATE TABLE alert_mutes (
    id         TEXT   NOT NULL PRIMARY KEY,
    admin_id   TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    client_id  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    UNIQUE (admin_id, kind, client_id)
);

CREATE TABLE webhooks (
    id            TEXT   NOT NULL PRIMARY KEY,
    url           TEXT   NOT NULL,
    kinds         TEXT   NOT NULL, -- JSON list, empty for all
    secret        TEXT   NOT NULL, -- sealed with a key derived from the master key, base64
    created_at    BIGINT NOT NULL,
    created_by    TEXT   NOT NULL,
    failing_since BIGINT NOT NULL, -- 0 if the last delivery arrived
    disabled_at   BIGINT NOT NULL
);

-- What is to be sent, written in the transaction that raises the alert, and what became of it;
-- rows of 30 days are kept.
CREATE TABLE alert_deliveries (
    id         TEXT   NOT NULL PRIMARY KEY, -- the webhook-id: the same with each attempt
    alert_id   TEXT   NOT NULL, -- '' for a test
    webhook_id TEXT   NOT NULL, -- '' for an e-mail
    admin_id   TEXT   NOT NULL, -- '' for a webhook
    event      TEXT   NOT NULL, -- JSON: what is sent, to the byte
    state      TEXT   NOT NULL, -- waiting, delivered, failed
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    done_at    BIGINT NOT NULL,
    outcome    TEXT   NOT NULL  -- of the last attempt, in words
);
CREATE INDEX alert_deliveries_waiting ON alert_deliveries (next_at, id) WHERE state = 'waiting';
CREATE INDEX alert_deliveries_by_time ON alert_deliveries (created_at, id);
CREATE INDEX alert_deliveries_by_webhook ON alert_deliveries (webhook_id, created_at, id);

-- From where clients got tokens and admins signed in, so that a new network is told from those.
CREATE TABLE known_networks (
    owner    TEXT   NOT NULL, -- the id of a client or an admin
    network  TEXT   NOT NULL,
    known_at BIGINT NOT NULL,
    PRIMARY KEY (owner, network)
);

CREATE INDEX client_secrets_by_end ON client_secrets (expires_at) WHERE expires_at > 0;

-- +goose Down
DROP INDEX client_secrets_by_end;
DROP TABLE known_networks;
DROP TABLE alert_deliveries;
DROP TABLE webhooks;
DROP TABLE alert_mutes;
DROP TABLE alerts;
