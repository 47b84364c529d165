// Package leaks revokes secrets that were found where others can read them.
//
// Begin with [Reports.Take], which revokes each secret that a client here has, that one only, and
// says what became of each. A [Handler] takes such reports from anybody, and from GitHub's secret
// scanning, which signs them (docs/decisions/0022).
//
// What is reported stands in no log, no answer and no error: a finding cannot be printed, and what
// is kept of it are the id and the last four characters of a secret that was one.
package leaks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// A Finding is what somebody takes for a secret, and where it was.
type Finding struct {
	Secret  clients.Secret
	FoundAt string // a URL, or in words; may be empty
}

// An Outcome is what became of a secret that was reported.
type Outcome string

// The outcomes.
const (
	Revoked   Outcome = "revoked"   // now, or by a dry run it would be
	Ended     Outcome = "ended"     // before, by itself or revoked
	NotOurs   Outcome = "not_ours"  // whole, and of no client here
	Malformed Outcome = "malformed" // no secret, cut or mistyped
)

// A Result says what became of one. What is empty is not known.
type Result struct {
	Outcome    Outcome
	ClientID   string
	ClientName string
	SecretID   string
	Hint       string // the last four characters
}

// A Leak is a secret that was revoked because it was reported.
type Leak struct {
	Result
	FoundAt string // cleaned of what must not be kept
	By      string // who reported it
}

// Reports takes reports of leaked secrets. Set its fields.
type Reports struct {
	DB      *database.DB
	Clients *clients.Store
	Audit   *audit.Log

	// Leaked is told of each secret that was revoked, in the transaction that does it. It may be nil.
	Leaked func(context.Context, Leak) error
}

// batch is how many findings one transaction looks at.
const batch = 100

// Take revokes those of the secrets that clients here have, and returns what became of each, in
// their order. By names who reported them; who acts is in the context. A dry run changes nothing.
// After an error some may be revoked; to take the report again does the rest.
func (r *Reports) Take(ctx context.Context, findings []Finding, by string, dryRun bool) ([]Result, error) {
	different, which := distinct(findings)
	var results []Result
	for some := range slices.Chunk(different, batch) {
		var part []Result
		err := r.DB.Transact(ctx, func(ctx context.Context) (err error) {
			part, err = r.take(ctx, some, by, dryRun)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("revoke leaked secrets: %w", err)
		}
		results = append(results, part...)
	}
	return spread(results, which), nil
}

// distinct returns the findings without those whose secret came before, so that copies cost
// nothing, and which of these each one is.
func distinct(findings []Finding) (different []Finding, which []int) {
	first := map[string]int{}
	which = make([]int, len(findings))
	for i, f := range findings {
		at, known := first[f.Secret.Reveal()]
		if !known {
			at = len(different)
			first[f.Secret.Reveal()] = at
			different = append(different, f)
		}
		which[i] = at
	}
	return different, which
}

// spread gives each finding the result of its secret. A copy of one that was revoked had ended by
// then.
func spread(results []Result, which []int) []Result {
	all := make([]Result, len(which))
	for i, at := range which {
		all[i] = results[at]
		if results[at].Outcome == Revoked {
			results[at].Outcome = Ended
		}
	}
	return all
}

func (r *Reports) take(ctx context.Context, findings []Finding, by string, dryRun bool) ([]Result, error) {
	now := time.Now()
	owned, err := r.owned(ctx, findings)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(findings))
	var acts []audit.Act
	for _, i := range inOrder(owned) {
		f := findings[i]
		if results[i], err = r.result(ctx, f, owned[i], now); err != nil {
			return nil, err
		}
		if results[i].Outcome != Revoked || dryRun {
			continue
		}
		leak := Leak{results[i], place(f.FoundAt), by}
		if err := r.revoke(ctx, leak, now); err != nil {
			return nil, err
		}
		acts = append(acts, leak.act(now))
	}
	return results, r.Audit.Record(ctx, acts...)
}

// inOrder goes through secrets in the order of their ids, so that two reports of the same ones do
// not wait for each other in a circle.
func inOrder(owned []clients.OwnedSecret) []int {
	order := make([]int, len(owned))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(owned[a].ID, owned[b].ID) })
	return order
}

// owned says whose the secrets are. What is no secret is not looked for.
func (r *Reports) owned(ctx context.Context, findings []Finding) ([]clients.OwnedSecret, error) {
	var whole []string
	var at []int
	for i, f := range findings {
		if clients.FormOf(f.Secret.Reveal()) == clients.Whole {
			whole, at = append(whole, f.Secret.Reveal()), append(at, i)
		}
	}
	found, err := r.Clients.BySecrets(ctx, whole)
	if err != nil {
		return nil, err
	}
	owned := make([]clients.OwnedSecret, len(findings))
	for i := range found {
		owned[at[i]] = found[i]
	}
	return owned, nil
}

func (r *Reports) result(ctx context.Context, f Finding, owned clients.OwnedSecret, now time.Time) (Result, error) {
	if owned.ClientID == "" {
		if clients.FormOf(f.Secret.Reveal()) != clients.Whole {
			return Result{Outcome: Malformed}, nil
		}
		return Result{Outcome: NotOurs}, nil
	}
	client, err := r.Clients.Client(ctx, owned.ClientID)
	if err != nil {
		return Result{}, err
	}
	result := Result{Outcome: Revoked, ClientID: client.ID, ClientName: client.Name, SecretID: owned.ID, Hint: owned.Hint}
	if !owned.RevokedAt.IsZero() || !owned.Live(now) {
		result.Outcome = Ended
	}
	return result, nil
}

func (r *Reports) revoke(ctx context.Context, leak Leak, now time.Time) error {
	if err := r.Clients.RevokeSecret(ctx, leak.ClientID, leak.SecretID, leak.By, now); err != nil {
		return err
	}
	if r.Leaked == nil {
		return nil
	}
	return r.Leaked(ctx, leak)
}

// act is what the audit log says. It is the deletion of a secret like any other, so that the
// journal of revocations has it.
func (l Leak) act(now time.Time) audit.Act {
	changes := map[string]audit.Change{"hint": {Before: l.Hint}, "leak_reported_by": {After: l.By}}
	if l.FoundAt != "" {
		changes["leak_found_at"] = audit.Change{After: l.FoundAt}
	}
	return audit.Act{
		Action: "secret.delete", Target: audit.Target{Kind: "secret", ID: l.SecretID, Name: l.Hint},
		ClientID: l.ClientID, Changes: changes, At: now,
	}
}
