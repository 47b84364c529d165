package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// An update may limit a client or a secret: disable it, or give it an end. Unlike a revocation, that
// can be lifted, so the last word on each counts, and a journal has every word.
const (
	updateClient = "client.update"
	updateSecret = "secret.update"
)

// readLimits reads from the changes of an update what they say of being disabled and of the end.
// It says whether the event is one for the journal: an update that says nothing of them is not.
func (e *entry) readLimits(changes string) (counts bool, err error) {
	if e.Action != updateClient && e.Action != updateSecret {
		return true, nil
	}
	var changed struct {
		Disabled *struct {
			After bool `json:"after"`
		} `json:"disabled"`
		ExpiresAt *struct {
			After time.Time `json:"after"`
		} `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(changes), &changed); err != nil {
		return false, fmt.Errorf("read what changed: %w", err)
	}
	if changed.Disabled != nil {
		e.Disabled = &changed.Disabled.After
	}
	if changed.ExpiresAt != nil {
		e.ExpiresAt = &changed.ExpiresAt.After
	}
	return e.Disabled != nil || e.ExpiresAt != nil, nil
}

// isLifting says that an update took nothing away, or gave something back.
func (e entry) isLifting() bool {
	if e.Action == resumeClient {
		return true
	}
	if e.Action != updateClient && e.Action != updateSecret {
		return false
	}
	return (e.Disabled == nil || !*e.Disabled) && (e.ExpiresAt == nil || e.ExpiresAt.IsZero())
}

// exceeded finds the limits that the journal knows and the database does not keep: clients that
// are enabled or not suspended, clients and secrets that live longer.
func exceeded(ctx context.Context, db *database.DB, known []entry) ([]entry, error) {
	disabled := lastDisabled(known)
	enabled, err := among(ctx, db, `SELECT id FROM clients WHERE NOT disabled AND id IN `, disabled)
	if err != nil {
		return nil, err
	}
	var found []entry
	for _, id := range enabled {
		found = append(found, disabled[id])
	}
	idle := lastSuspended(known)
	awake, err := among(ctx, db, `SELECT id FROM clients WHERE suspended_at = 0 AND id IN `, idle)
	if err != nil {
		return nil, err
	}
	for _, id := range awake {
		found = append(found, idle[id])
	}
	for _, kind := range []struct{ action, query string }{
		{updateSecret, `SELECT id || ' ' || expires_at FROM client_secrets WHERE revoked_at = 0 AND id IN `},
		{updateClient, `SELECT id || ' ' || expires_at FROM clients WHERE id IN `},
	} {
		late, err := endingLate(ctx, db, kind.query, lastEnds(known, kind.action))
		if err != nil {
			return nil, err
		}
		found = append(found, late...)
	}
	return found, nil
}

// lastDisabled are the clients that are disabled, if the last word on them counts.
func lastDisabled(known []entry) map[string]entry {
	last := map[string]entry{}
	for _, e := range known {
		switch {
		case e.Action != updateClient || e.Disabled == nil:
		case *e.Disabled:
			e.ExpiresAt = nil // which is another limit, perhaps lifted since
			last[e.TargetID] = e
		default:
			delete(last, e.TargetID)
		}
	}
	return last
}

// lastSuspended are the clients that are suspended, if the last word on them counts.
func lastSuspended(known []entry) map[string]entry {
	last := map[string]entry{}
	for _, e := range known {
		switch e.Action {
		case suspendClient:
			last[e.TargetID] = e
		case resumeClient:
			delete(last, e.TargetID)
		}
	}
	return last
}

// lastEnds are the ends of clients or of secrets, of those that have one if the last word counts.
func lastEnds(known []entry, action string) map[string]entry {
	last := map[string]entry{}
	for _, e := range known {
		switch {
		case e.Action != action || e.ExpiresAt == nil:
		case e.ExpiresAt.IsZero():
			delete(last, e.TargetID)
		default:
			e.Disabled = nil
			last[e.TargetID] = e
		}
	}
	return last
}

// endingLate are those of the things named that a query finds with no end or a later one. One that
// ends sooner is left so: a journal gives nothing back.
func endingLate(ctx context.Context, db *database.DB, query string, named map[string]entry) ([]entry, error) {
	found, err := textsOf(ctx, db, query, named)
	if err != nil {
		return nil, err
	}
	var late []entry
	for _, text := range found {
		id, end, _ := strings.Cut(text, " ")
		seconds, err := strconv.ParseInt(end, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read when %s ends: %w", id, err)
		}
		e := named[id]
		if seconds == 0 || seconds > e.ExpiresAt.Unix() {
			e.had = database.FromUnix(seconds).Time
			late = append(late, e)
		}
	}
	slices.SortFunc(late, func(a, b entry) int { return cmp.Or(byAge(a, b), strings.Compare(a.Event, b.Event)) })
	return late, nil
}

// limitClient sets a limit to a client again.
func (j *journal) limitClient(ctx context.Context, e entry) error {
	client, err := j.clients.Client(ctx, e.TargetID)
	if err != nil {
		return err
	}
	if e.Disabled != nil {
		client.Disabled = *e.Disabled
	}
	if e.ExpiresAt != nil {
		client.ExpiresAt = *e.ExpiresAt
	}
	return j.clients.Update(ctx, client)
}

// limitChanges are what setting a limit again changes.
func limitChanges(e entry) map[string]audit.Change {
	changes := map[string]audit.Change{}
	if e.Disabled != nil {
		changes["disabled"] = audit.Change{Before: !*e.Disabled, After: *e.Disabled}
	}
	if e.ExpiresAt != nil {
		end := audit.Change{After: e.ExpiresAt.UTC()}
		if !e.had.IsZero() {
			end.Before = e.had.UTC()
		}
		changes["expires_at"] = end
	}
	return changes
}
