-- Who fetches the JWKS, so that admins see who knows a new signing key before it signs.

-- +goose Up

-- The last fetch of each party: one user agent at one address. Rows of 30 days are kept, and 500
-- at most (tokens.Fetches).
CREATE TABLE jwks_fetches (
    address         TEXT   NOT NULL,
    user_agent      TEXT   NOT NULL,
    network         TEXT   NOT NULL, -- of the address: IPv4 itself, IPv6 a network of 64 bits
    last_fetched_at BIGINT NOT NULL,
    kids            TEXT   NOT NULL, -- JSON list: the keys that the party had then, oldest first
    PRIMARY KEY (address, user_agent)
);
CREATE INDEX jwks_fetches_by_time ON jwks_fetches (last_fetched_at, address, user_agent);

-- +goose Down
DROP TABLE jwks_fetches;
