package rscheck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/attacks"
)

// A Check examines one service.
type Check struct {
	URL    string // the only address that is ever called
	Method string
	Header http.Header // beside Authorization
	Body   string

	Client    *http.Client    // follows no redirect
	Forge     *attacks.Forge  // makes the tokens
	Issuer    *attacks.Issuer // sees what the service fetches
	Live      bool            // the forge's tokens are of another issuer, whose JWKS nobody counts here
	Facts     Facts           // for the lines to fix
	Framework string          // empty: recognised by its answers

	Only     []string      // names of attacks; empty: all
	Patience time.Duration // how long the caches of the service may take to notice a change
}

// Names are those of all attacks, in their order.
func Names() []string {
	var names []string
	for _, a := range attacks.All() {
		names = append(names, a.Name)
	}
	return names
}

// baseline is the attack that is none: what the service does with a good token.
const baseline = "good"

// ErrNotReady means that the service did not accept a good token in time.
var ErrNotReady = errors.New("the service does not accept a good token")

// Await sends a good token again and again until the service accepts it, because it may have to
// be configured first. It returns an error that matches ErrNotReady if that takes longer than
// patience.
func (c *Check) Await(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		got := c.try(ctx, attacks.All()[0])
		if attacks.Accepted(got.status) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s", ErrNotReady, got.words())
		}
		if err := pause(ctx, time.Second/2); err != nil {
			return err
		}
	}
}

// Run sends the attacks and returns what became of them. It returns an error only if ctx ends.
func (c *Check) Run(ctx context.Context) (*Report, error) {
	r := &Report{URL: c.URL, Framework: c.Framework}
	var late []waiting
	for _, a := range attacks.All() {
		if len(c.Only) > 0 && a.Name != baseline && !slices.Contains(c.Only, a.Name) {
			continue
		}
		if a.Settled {
			if err := c.await(ctx, r, late); err != nil {
				return nil, err
			}
			late = nil
		}
		got := c.attack(ctx, a)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.recognise(r, got)
		verdict := judge(a, got)
		if a.Late && verdict.Outcome != Passed && got.made == nil {
			late = append(late, waiting{a, got})
			continue
		}
		r.add(a, verdict)
		if r.unusable() {
			break // to refuse everything means nothing
		}
	}
	if err := c.await(ctx, r, late); err != nil {
		return nil, err
	}
	r.finish(c.Facts)
	return r, nil
}

// recognise looks at an answer for signs of a framework, unless it was said which one it is.
func (c *Check) recognise(r *Report, got answer) {
	if c.Framework == "" && (r.Framework == "" || proxies[r.Framework]) {
		r.Framework = orElse(recognise(got), r.Framework)
	}
}

// A waiting attack has not had the right answer yet, and may.
type waiting struct {
	attack attacks.Attack
	got    answer
}

// await sends the same again until the service has noticed, or its time is over.
func (c *Check) await(ctx context.Context, r *Report, late []waiting) error {
	patience := c.patience(late)
	deadline := time.Now().Add(patience)
	for len(late) > 0 && time.Now().Before(deadline) {
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		late = slices.DeleteFunc(late, func(w waiting) bool {
			got := c.send(ctx, w.got.request)
			verdict := judge(w.attack, got)
			if verdict.Outcome != Passed {
				return false
			}
			r.add(w.attack, verdict)
			return true
		})
	}
	for _, w := range late {
		verdict := judge(w.attack, w.got)
		if verdict.Outcome != NotTested {
			verdict.Detail += fmt.Sprintf(", still after %s", patience)
		}
		r.add(w.attack, verdict)
	}
	return ctx.Err()
}

// patience is shorter for what is only worth a note.
func (c *Check) patience(late []waiting) time.Duration {
	if slices.ContainsFunc(late, func(w waiting) bool { return w.attack.Gravity != attacks.Note }) {
		return c.Patience
	}
	return min(c.Patience, 10*time.Second)
}

// attack sends an attack as often as it says, and returns the last answer with what was fetched
// meanwhile.
func (c *Check) attack(ctx context.Context, a attacks.Attack) answer {
	keys, baits := c.Issuer.Requests(attacks.JWKSPath), c.Issuer.Requests(attacks.BaitPath)
	var got answer
	for range max(1, a.Times) {
		got = c.try(ctx, a)
		if got.made != nil || got.failed != nil || attacks.Accepted(got.status) || got.status >= 500 {
			break
		}
	}
	got.keysFetched = c.Issuer.Requests(attacks.JWKSPath) - keys
	got.baitsTaken = c.Issuer.Requests(attacks.BaitPath) - baits
	if a.Fetches > 0 && c.Live {
		got.made = fmt.Errorf("%w: only the live issuer sees who fetches its keys", attacks.ErrCannot)
	}
	return got
}

// try makes an attack and sends it once.
func (c *Check) try(ctx context.Context, a attacks.Attack) answer {
	request, err := a.Request(c.Forge)
	if err != nil {
		return answer{made: err}
	}
	return c.send(ctx, request)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
