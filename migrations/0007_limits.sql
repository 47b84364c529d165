-- How often clients may ask for tokens, and how often they did.

-- +goose Up

-- 'free', 'pro' or 'enterprise', whose numbers stand beside it: per minute, at once, per day, each
-- 0 for no limit. '' for a client on no plan.
ALTER TABLE clients ADD COLUMN plan TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN limits TEXT NOT NULL DEFAULT '';

-- What servers took of the limits of each client, and of the account as '*', in shares
-- (docs/decisions/0020). Times are of the database's clock. A row without news for two days is
-- worth nothing.
CREATE TABLE limit_counts (
    client_id    TEXT   NOT NULL PRIMARY KEY,
    minute       BIGINT NOT NULL, -- Unix time / 60
    minute_taken BIGINT NOT NULL,
    day          BIGINT NOT NULL, -- Unix time / 86400
    day_taken    BIGINT NOT NULL,
    full_at      BIGINT NOT NULL  -- Unix time in microseconds: when the bucket of the burst is full again
);
CREATE INDEX limit_counts_by_day ON limit_counts (day);

-- What clients do that costs them more than it must, by the day; rows of 30 days are kept.
CREATE TABLE token_habits (
    client_id  TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    early      BIGINT NOT NULL, -- tokens that were asked for while the last had more than half its life left
    over_limit BIGINT NOT NULL, -- requests over a limit, refused or, on trial, not
    user_agent TEXT   NOT NULL, -- of the last early one
    PRIMARY KEY (client_id, day)
);
CREATE INDEX token_habits_by_day ON token_habits (day, early);

-- +goose Down
DROP TABLE token_habits;
DROP TABLE limit_counts;
ALTER TABLE clients DROP COLUMN limits;
ALTER TABLE clients DROP COLUMN plan;
