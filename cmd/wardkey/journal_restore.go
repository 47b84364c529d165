package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/tokens"
)

// A comparison is what a journal and a database say of each other.
type comparison struct {
	continues bool     // the log of the database goes on from where the journal ends
	saw, end  position // where the journal ends, and where the log does
	behind    []entry  // what the log has and the journal lacks
	again     []entry  // what was revoked and is alive
}

// explain says what a comparison that does not continue can mean: a backup and a cut look alike.
func (c comparison) explain() string {
	return fmt.Sprintf("the audit log ends at event %d, the journal saw event %d, which is not in it: a backup was restored, or the log was cut", c.end.seq, c.saw.seq)
}

// compare says what the journal knows and the database does not.
func compare(ctx context.Context, db *database.DB, known []entry) (c comparison, err error) {
	c.saw = lastPosition(known)
	if c.end, err = logEnd(ctx, db); err != nil {
		return c, err
	}
	if c.continues, err = logHas(ctx, db, c.saw); err != nil {
		return c, err
	}
	if c.behind, err = unlogged(ctx, db, known, c.end); err != nil {
		return c, err
	}
	// A limit may have been lifted when nobody wrote the journal.
	c.again, err = notInEffect(ctx, db, slices.Concat(known, c.behind))
	return c, err
}

// restore revokes again what is alive and should not be. It may end anywhere and begin anew: what
// was done is not done twice.
func (j *journal) restore(ctx context.Context, c comparison) error {
	if c.continues && len(c.again) == 0 {
		return nil
	}
	ctx = audit.With(ctx, audit.Origin{Actor: audit.Actor{Kind: audit.Server}})
	done, spared, err := j.revokeAgain(ctx, c)
	if err != nil {
		return fmt.Errorf("revoke again what a backup brought back: %w", err)
	}
	counts := []any{"file", j.path}
	for _, action := range []string{deleteClient, revokeSecret, revokeTokens, deleteKey, removeAdmin, updateSecret, updateClient, suspendClient} {
		n := len(slices.DeleteFunc(slices.Clone(done), func(e entry) bool { return e.Action != action }))
		counts = append(counts, action, n)
	}
	switch {
	case !c.continues:
		j.log.WarnContext(ctx, c.explain()+". What was revoked since was revoked again, and everybody is signed out", counts...)
	case len(done) > 0:
		j.log.WarnContext(ctx, "what the journal says was revoked was alive: a part of the database was restored or changed. It was revoked again", counts...)
	}
	for _, e := range spared {
		j.log.ErrorContext(ctx, "an owner who had been removed is back and was NOT removed, because there is no other; make somebody else an owner, then remove this one",
			"id", e.TargetID, "email", e.TargetName, "removed_at", e.At, "by", e.By)
	}
	return nil
}

// revokeAgain returns what it did, and whom it spared because there is no other owner. All but
// signing keys, which are changed in transactions of their own, is one transaction.
func (j *journal) revokeAgain(ctx context.Context, c comparison) (done, spared []entry, err error) {
	err = j.db.Transact(ctx, func(ctx context.Context) error {
		done, spared = nil, nil
		var acts []audit.Act
		for _, e := range c.again {
			if e.Action == deleteKey {
				continue
			}
			switch err := j.revokeOne(ctx, e); {
			case errors.Is(err, people.ErrLastOwner):
				spared = append(spared, e)
				continue
			case isGone(err):
				continue
			case err != nil:
				return err
			}
			done = append(done, e)
			if e.Action != removeAdmin { // people record what they do themselves
				acts = append(acts, restoredAct(e))
			}
		}
		if err := j.audit.Record(ctx, acts...); err != nil || c.continues {
			return err
		}
		return j.endSessions(ctx)
	})
	if err != nil {
		return nil, nil, err
	}
	for _, e := range c.again {
		if e.Action != deleteKey {
			continue
		}
		if err := j.removeKey(ctx, e); err != nil {
			return nil, nil, err
		}
		done = append(done, e)
	}
	return done, spared, nil
}

// isGone says that another server was quicker.
func isGone(err error) bool {
	return errors.Is(err, clients.ErrNotFound) || errors.Is(err, clients.ErrSecretNotFound) || errors.Is(err, people.ErrNotFound)
}

func (j *journal) revokeOne(ctx context.Context, e entry) error {
	switch e.Action {
	case deleteClient:
		return j.deleteClient(ctx, e)
	case revokeSecret:
		return j.clients.RevokeSecret(ctx, e.ClientID, e.TargetID, e.By, e.At)
	case revokeTokens:
		return j.clients.RevokeTokens(ctx, e.TargetID, time.Now())
	case removeAdmin:
		return j.people.Remove(ctx, e.TargetID, time.Now())
	case updateSecret:
		return j.clients.EndSecret(ctx, e.ClientID, e.TargetID, *e.ExpiresAt)
	case updateClient:
		return j.limitClient(ctx, e)
	case suspendClient:
		return j.clients.Suspend(ctx, e.TargetID, time.Now())
	}
	return fmt.Errorf("a journal cannot tell how to do %q again", e.Action)
}

// deleteClient leaves the tombstone that there was before, under the name that the client had
// last.
func (j *journal) deleteClient(ctx context.Context, e entry) error {
	client, err := j.clients.Client(ctx, e.TargetID)
	if err == nil && client.Name != e.TargetName {
		client.Name = e.TargetName
		err = j.clients.Update(ctx, client)
	}
	if err != nil {
		return err
	}
	return j.clients.Delete(ctx, e.TargetID, e.By, e.At)
}

// endSessions ends those that a backup brought back: some had been revoked, and the journal does
// not say which.
func (j *journal) endSessions(ctx context.Context) error {
	n, err := j.db.Exec(ctx, `DELETE FROM sessions`)
	if err != nil {
		return fmt.Errorf("end the sessions: %w", err)
	}
	if n == 0 {
		return nil
	}
	return j.audit.Record(ctx, audit.Act{
		Action: "session.revoke", Target: audit.Target{Kind: "session", Name: "all"}, At: time.Now(),
		Changes: map[string]audit.Change{"sessions": {Before: n}},
	})
}

// restoredAct tells that something was revoked again, and after which event.
func restoredAct(e entry) audit.Act {
	changes := limitChanges(e)
	changes["restored"] = audit.Change{After: e.Event}
	return audit.Act{
		Action: e.Action, Target: audit.Target{Kind: e.TargetKind, ID: e.TargetID, Name: e.TargetName}, ClientID: e.ClientID, At: time.Now(),
		Changes: changes,
	}
}

// removeKey removes a signing key, with a record that says what for; if it was the one that signs,
// another takes over.
func (j *journal) removeKey(ctx context.Context, e entry) error {
	recorded := admin.KeyChanges(j.db, j.audit)
	keys := &tokens.Keys{DB: j.db, Master: j.keys.Master, Schedule: j.keys.Schedule, RSABits: j.keys.RSABits, Log: slog.New(slog.DiscardHandler)}
	keys.Changed = func(ctx context.Context, before, after []*tokens.Key) error {
		others := slices.DeleteFunc(slices.Clone(before), func(k *tokens.Key) bool { return k.ID == e.TargetID })
		if err := recorded(ctx, others, after); err != nil {
			return err
		}
		return j.audit.Record(ctx, restoredAct(e))
	}
	if err := keys.Remove(ctx, e.TargetID); err != nil && !errors.Is(err, tokens.ErrKeyNotFound) {
		return err
	}
	return j.keys.Refresh(ctx)
}
