-- What resource servers saw of the clients' tokens.

-- +goose Up

-- The requests that resource servers saw, by the hour; rows of two days are kept. A client has so
-- many kinds of them in a day; what is beyond counts with no endpoint and no scope. The client ''
-- stands for tokens of which nobody knows whose they were.
CREATE TABLE report_hours (
    client_id TEXT   NOT NULL,
    hour      BIGINT NOT NULL, -- Unix time / 3600
    audience  TEXT   NOT NULL,
    endpoint  TEXT   NOT NULL, -- method and pattern of the route: 'GET /profiles/{id}'
    scope     TEXT   NOT NULL, -- what was used of what the client holds, or what it lacked
    outcome   TEXT   NOT NULL, -- 'allowed', or why it was refused
    requests  BIGINT NOT NULL,
    sampled   BIGINT NOT NULL, -- of how many of these requests more is known than that they were
    PRIMARY KEY (client_id, hour, audience, endpoint, scope, outcome)
);
CREATE INDEX report_hours_by_hour ON report_hours (hour);

-- The same by the day; rows of 90 days are kept.
CREATE TABLE report_days (
    client_id TEXT   NOT NULL,
    day       BIGINT NOT NULL, -- Unix time / 86400
    audience  TEXT   NOT NULL,
    endpoint  TEXT   NOT NULL,
    scope     TEXT   NOT NULL,
    outcome   TEXT   NOT NULL,
    requests  BIGINT NOT NULL,
    sampled   BIGINT NOT NULL,
    PRIMARY KEY (client_id, day, audience, endpoint, scope, outcome)
);
CREATE INDEX report_days_by_day ON report_days (day);

-- When each scope value that a client holds was last seen used; rows of two years are kept.
CREATE TABLE report_uses (
    client_id TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    last_day  BIGINT NOT NULL, -- Unix time / 86400
    PRIMARY KEY (client_id, value)
);
CREATE INDEX report_uses_by_day ON report_uses (last_day);

-- Which minutes reports are about; rows of two years are kept. What no report is about may have
-- been anything.
CREATE TABLE report_coverage (
    audience TEXT    NOT NULL,
    hour     BIGINT  NOT NULL, -- Unix time / 3600
    minutes  BIGINT  NOT NULL, -- a bit for each, the first of the hour is the lowest
    partial  BOOLEAN NOT NULL, -- requests are missing
    PRIMARY KEY (audience, hour)
);
CREATE INDEX report_coverage_by_hour ON report_coverage (hour);

-- The reports that were counted, so that none is counted twice; rows of two days are kept.
CREATE TABLE report_batches (
    client_id  TEXT   NOT NULL, -- of the resource server
    id         TEXT   NOT NULL,
    counted_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, id)
);
CREATE INDEX report_batches_by_time ON report_batches (counted_at);

-- +goose Down
DROP TABLE report_batches;
DROP TABLE report_coverage;
DROP TABLE report_uses;
DROP TABLE report_days;
DROP TABLE report_hours;
