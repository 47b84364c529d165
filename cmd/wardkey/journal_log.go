package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// The actions in the audit log that take away what must not come back. An id is never given
// twice, so what one of them names is gone for good.
const (
	deleteClient = "client.delete"
	revokeTokens = "client.revoke_tokens"
	revokeSecret = "secret.delete"
	deleteKey    = "signing_key.delete"
	removeAdmin  = "admin.remove"
)

// Those that take something away until it is given back. The last word on each counts.
const (
	suspendClient = "client.suspend"
	resumeClient  = "client.resume"
)

const revoking = `('` + deleteClient + `', '` + revokeTokens + `', '` + revokeSecret + `', '` + deleteKey + `', '` + removeAdmin + `', '` + updateSecret + `', '` + updateClient + `', '` + suspendClient + `', '` + resumeClient + `')`

// logEnd is where the audit log ends.
func logEnd(ctx context.Context, db *database.DB) (end position, err error) {
	err = db.QueryRow(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&end.seq, &end.hash)
	if err != nil {
		err = fmt.Errorf("read where the audit log ends: %w", err)
	}
	return end, err
}

// logHas says whether a place is in the audit log. If it once was and no longer is, the database
// is older than it was.
func logHas(ctx context.Context, db *database.DB, place position) (bool, error) {
	if place.seq == 0 {
		return true, nil
	}
	var hash string
	err := db.QueryRow(ctx, `SELECT hash FROM audit_events WHERE seq = $1`, place.seq).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up event %d of the audit log: %w", place.seq, err)
	}
	return hash == place.hash, nil
}

// loggedRevocations reads what the audit log says was revoked after one event, up to another.
func loggedRevocations(ctx context.Context, db *database.DB, after, last int64) ([]entry, error) {
	rows, err := db.Query(ctx, `SELECT seq, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, client_id, hash, changes
		FROM audit_events WHERE seq > $1 AND seq <= $2 AND action IN `+revoking+` ORDER BY seq`, after, last)
	if err != nil {
		return nil, fmt.Errorf("read revocations from the audit log: %w", err)
	}
	defer rows.Close()
	var all []entry
	for rows.Next() {
		var e entry
		var at database.Time
		var by audit.Actor
		var changes string
		err := rows.Scan(&e.Seq, &e.Event, &at, &by.Kind, &by.ID, &by.Name, &e.Action, &e.TargetKind, &e.TargetID, &e.TargetName, &e.ClientID, &e.Hash, &changes)
		if err != nil {
			return nil, fmt.Errorf("read revocations from the audit log: %w", err)
		}
		e.At, e.By = at.Time, by.String()
		counts, err := e.readLimits(changes)
		if err != nil {
			return nil, fmt.Errorf("read event %d of the audit log: %w", e.Seq, err)
		}
		if counts {
			all = append(all, e)
		}
	}
	return all, rows.Err()
}

// tombstoneEntries are the deleted clients, as entries without an event: some were deleted before
// there was an audit log.
func tombstoneEntries(ctx context.Context, db *database.DB) ([]entry, error) {
	rows, err := db.Query(ctx, `SELECT id, name, deleted_at, deleted_by FROM deleted_clients ORDER BY deleted_at, id`)
	if err != nil {
		return nil, fmt.Errorf("read deleted clients: %w", err)
	}
	defer rows.Close()
	var all []entry
	for rows.Next() {
		e := entry{Action: deleteClient, TargetKind: "client"}
		var at database.Time
		if err := rows.Scan(&e.TargetID, &e.TargetName, &at, &e.By); err != nil {
			return nil, fmt.Errorf("read deleted clients: %w", err)
		}
		e.At, e.ClientID = at.Time, e.TargetID
		all = append(all, e)
	}
	return all, rows.Err()
}

// unlogged are the entries of a journal that lacks what the database says was revoked.
func unlogged(ctx context.Context, db *database.DB, known []entry, end position) ([]entry, error) {
	logged, err := loggedRevocations(ctx, db, 0, end.seq)
	if err != nil {
		return nil, err
	}
	tombs, err := tombstoneEntries(ctx, db)
	if err != nil {
		return nil, err
	}
	older := lacking(tombs, slices.Concat(known, logged))
	return append(older, lacking(logged, known)...), nil
}

// notInEffect finds those of the journalled revocations that are not in effect in this database, the
// last of each thing, in the order in which they were made.
func notInEffect(ctx context.Context, db *database.DB, known []entry) ([]entry, error) {
	var again []entry
	gone := map[string]bool{} // with a client goes what is its own, and no limit matters any more
	for _, kind := range []struct{ action, alive string }{
		{deleteClient, `SELECT id FROM clients WHERE id IN `},
		{revokeSecret, `SELECT id FROM client_secrets WHERE revoked_at = 0 AND id IN `},
		{revokeTokens, `SELECT id FROM clients WHERE id IN `},
		{deleteKey, `SELECT kid FROM signing_keys WHERE kid IN `},
		{removeAdmin, `SELECT id FROM admins WHERE id IN `},
	} {
		latest := latestOf(known, kind.action)
		alive, err := among(ctx, db, kind.alive, latest)
		if err != nil {
			return nil, err
		}
		if kind.action == revokeTokens && len(alive) > 0 {
			if alive, err = notYetAgain(ctx, db, latest, alive); err != nil {
				return nil, err
			}
		}
		for _, id := range alive {
			e := latest[id]
			if gone[e.ClientID] {
				continue
			}
			gone[id] = gone[id] || e.Action == deleteClient || e.Action == revokeSecret
			again = append(again, e)
		}
	}
	limits, err := exceeded(ctx, db, known)
	for _, e := range limits {
		if !gone[e.ClientID] && !gone[e.TargetID] {
			again = append(again, e)
		}
	}
	return again, err
}

// latestOf are the entries of one action by what they name, the last of each.
func latestOf(known []entry, action string) map[string]entry {
	latest := map[string]entry{}
	for _, e := range known {
		if e.Action == action {
			latest[e.TargetID] = e
		}
	}
	return latest
}

// among returns those of the things named that a query finds, in order.
func among(ctx context.Context, db *database.DB, query string, named map[string]entry) ([]string, error) {
	found, err := textsOf(ctx, db, query, named)
	slices.SortFunc(found, func(a, b string) int { return byAge(named[a], named[b]) })
	return found, err
}

// textsOf is what a query finds that asks for the things named.
func textsOf(ctx context.Context, db *database.DB, query string, named map[string]entry) (found []string, err error) {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(named)), 500) {
		places, args := make([]string, len(some)), make([]any, len(some))
		for i, id := range some {
			places[i], args[i] = "$"+strconv.Itoa(i+1), id
		}
		part, err := texts(ctx, db, query+"("+strings.Join(places, ", ")+")", args...)
		if err != nil {
			return nil, err
		}
		found = append(found, part...)
	}
	return found, nil
}

func byAge(a, b entry) int {
	if c := a.At.Compare(b.At); c != 0 {
		return c
	}
	return strings.Compare(a.TargetID, b.TargetID)
}

// texts reads one column.
func texts(ctx context.Context, db *database.DB, query string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read what was revoked: %w", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read what was revoked: %w", err)
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// notYetAgain leaves out the clients whose tokens were revoked in this database: the event of it
// is in its log, or that of doing it again.
func notYetAgain(ctx context.Context, db *database.DB, latest map[string]entry, clientIDs []string) ([]string, error) {
	settled, err := texts(ctx, db, `SELECT id FROM audit_events WHERE action = '`+revokeTokens+`'`)
	if err != nil {
		return nil, err
	}
	changes, err := texts(ctx, db, `SELECT changes FROM audit_events WHERE action = '`+revokeTokens+`' AND actor_kind = $1`, audit.Server)
	if err != nil {
		return nil, err
	}
	for _, text := range changes {
		var of struct{ Restored struct{ After string } }
		if json.Unmarshal([]byte(text), &of) == nil {
			settled = append(settled, of.Restored.After)
		}
	}
	slices.Sort(settled)
	return slices.DeleteFunc(clientIDs, func(id string) bool {
		_, found := slices.BinarySearch(settled, latest[id].Event)
		return found
	}), nil
}
