-- How many token requests were granted and refused.

-- +goose Up

-- By the hour; rows of 90 days are kept. The outcome is 'granted' or the cause of a refusal. The
-- client '' stands for ids that no client has, and the client '*' for the whole account: its rows
-- are sums of the others, without their blocks.
CREATE TABLE usage_hours (
    client_id TEXT   NOT NULL,
    hour      BIGINT NOT NULL, -- Unix time / 3600
    outcome   TEXT   NOT NULL,
    audience  TEXT   NOT NULL, -- several are separated by a blank; '' for a request refused before it was known
    block     TEXT   NOT NULL, -- IPv4 /24 or IPv6 /48; '' for all beyond the first of the hour
    requests  BIGINT NOT NULL,
    PRIMARY KEY (client_id, hour, outcome, audience, block)
);
CREATE INDEX usage_hours_by_hour ON usage_hours (hour);

-- The same by the day, of all hours before usage_state.rolled_until; rows of two years are kept.
CREATE TABLE usage_days (
    client_id TEXT   NOT NULL,
    day       BIGINT NOT NULL, -- Unix time / 86400
    outcome   TEXT   NOT NULL,
    audience  TEXT   NOT NULL,
    block     TEXT   NOT NULL,
    requests  BIGINT NOT NULL,
    PRIMARY KEY (client_id, day, outcome, audience, block)
);
CREATE INDEX usage_days_by_day ON usage_days (day);

-- One row. Whoever adds to an hour before rolled_until adds to its day, too.
CREATE TABLE usage_state (
    id           BIGINT NOT NULL PRIMARY KEY,
    rolled_until BIGINT NOT NULL -- Unix time / 3600
);
INSERT INTO usage_state (id, rolled_until) VALUES (1, 0);

-- The last batch of counts that each server process has written, so that none is written twice.
CREATE TABLE usage_nodes (
    node    TEXT   NOT NULL PRIMARY KEY,
    batch   BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

-- First uses of a day that are not yet in client_uses and secret_uses: many in a row, because
-- tokens wait for it to be written. The server that wrote a row takes it away when it has written
-- them there; those of a server that was killed are carried over (clients.Usage.CarryOver).
CREATE TABLE first_uses (
    id         TEXT   NOT NULL PRIMARY KEY,
    written_at BIGINT NOT NULL,
    uses       TEXT   NOT NULL -- JSON list of client, secret and time
);

-- What was counted before, of the last two days and the last seven.
INSERT INTO usage_hours (client_id, hour, outcome, audience, block, requests)
    SELECT client_id, hour, 'granted', '', '', CAST(sum(uses) AS BIGINT) FROM secret_activity GROUP BY client_id, hour;
INSERT INTO usage_hours (client_id, hour, outcome, audience, block, requests)
    SELECT client_id, hour, cause, '', '', CAST(sum(count) AS BIGINT) FROM refusals GROUP BY client_id, hour, cause;
INSERT INTO usage_hours (client_id, hour, outcome, audience, block, requests)
    SELECT '*', hour, outcome, '', '', CAST(sum(requests) AS BIGINT) FROM usage_hours GROUP BY hour, outcome;

-- +goose Down
DROP TABLE first_uses;
DROP TABLE usage_nodes;
DROP TABLE usage_state;
DROP TABLE usage_days;
DROP TABLE usage_hours;
