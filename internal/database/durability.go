package database

import (
	"context"
	"database/sql"
	"fmt"
)

// FailoverRisk says in words what a failover or a crash of the database may lose of what was
// acknowledged, "" for nothing or if nothing is known. An embedded database has no failover.
func (db *DB) FailoverRisk(ctx context.Context) (string, error) {
	if db.Embedded() {
		return "", nil
	}
	var commit, names sql.NullString
	err := db.QueryRow(ctx, `SELECT current_setting('synchronous_commit', true), current_setting('synchronous_standby_names', true)`).Scan(&commit, &names)
	if err != nil {
		return "", fmt.Errorf("ask how safe commits are: %w", err)
	}
	// What only PostgreSQL has; others keep their copies in other ways.
	standbys := 0
	err = db.QueryRow(ctx, `SELECT count(*) FROM pg_stat_replication WHERE state IS NULL OR state = 'streaming'`).Scan(&standbys)
	if err != nil {
		return "", fmt.Errorf("ask for the standbys: %w", err)
	}
	return risk(commit.String, names.String, standbys), nil
}

func risk(commit, names string, standbys int) string {
	const lost = "loses the last acknowledged changes, revocations among them"
	switch {
	case commit == "off":
		return "synchronous_commit is off, so that a crash of PostgreSQL " + lost + "; set it to on"
	case commit == "local" && names != "":
		return "synchronous_commit is local, so that a failover " + lost + "; set it to on"
	case names == "" && standbys > 0:
		return "its standby is asynchronous, so that a failover " + lost + "; name it in synchronous_standby_names"
	}
	return ""
}
