package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// How often the older secret is looked at: more often near the end.
const (
	shortestPause = 2 * time.Second
	longestPause  = time.Minute
	pauseOfAway   = 15 * time.Second // when the server does not answer
)

// A vigil waits until the older of two secrets has been silent for long enough.
type vigil struct {
	older, newer string // their ids
	quiet        time.Duration
	read         func(context.Context) (*rotation, error)
	tell         func(format string, args ...any) // of what changed
}

var (
	errCancelled   = errors.New("somebody took the rotation back: the newer secret has ended")
	errEndedBefore = errors.New("the older secret has ended already")
)

// keep returns the older secret once it has been silent; errEndedBefore if there is nothing left
// to wait for, and errCancelled if there is nothing to replace it. A server that cannot be asked is
// asked again.
func (v vigil) keep(ctx context.Context) (usedSecret, error) {
	told := ""
	for {
		pause := pauseOfAway
		r, err := v.read(ctx)
		switch {
		case ctx.Err() != nil:
			return usedSecret{}, errInterrupted
		case err != nil && !passing(err):
			return usedSecret{}, err
		case err != nil:
			v.tell("%v; trying again", err)
		default:
			older, left, err := v.look(r)
			if err != nil || left <= 0 {
				return older, err
			}
			if state := v.describe(older); state != told {
				told = state
				v.tell("%s", state)
			}
			pause = min(max(left/10, shortestPause), longestPause)
		}
		select {
		case <-ctx.Done():
			return usedSecret{}, errInterrupted
		case <-time.After(pause):
		}
	}
}

// look says how long the older secret must still be silent.
func (v vigil) look(r *rotation) (older usedSecret, left time.Duration, err error) {
	older, live := r.secret(v.older)
	if !live {
		return older, 0, errEndedBefore
	}
	if _, live := r.secret(v.newer); !live {
		return older, 0, errCancelled
	}
	return older, v.quiet - older.silence(r.now), nil
}

// describe says who used the older secret last. It changes with every use, and not with time.
func (v vigil) describe(older usedSecret) string {
	if older.LastUsedAt == nil {
		return fmt.Sprintf("secret …%s was never used; it must stay so until %s", clean(older.Hint), clockTime(older.CreatedAt.Add(v.quiet)))
	}
	last := *older.LastUsedAt
	text := fmt.Sprintf("secret …%s was used at %s; it must be silent until %s", clean(older.Hint), clockTime(last), clockTime(last.Add(v.quiet)))
	for _, a := range older.Addresses {
		text += fmt.Sprintf("\n  %s, %s in the last day, last at %s", addressName(a.Address), times(a.Uses), clockTime(a.LastUsedAt))
	}
	return text
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// passing says whether err is of a server that may answer when it is asked again.
func passing(err error) bool {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.Status >= http.StatusInternalServerError || r.Status == http.StatusTooManyRequests
	}
	if r, ok := errors.AsType[*tokenRefusal](err); ok {
		return strings.HasPrefix(r.Code, "temporarily_")
	}
	return true
}

// await waits until the older secret has been silent, and ends it. Whoever interrupts is told that
// both live on, and how to go on.
func (w walk) await(olderID, newerID string) error {
	ctx := w.cmd.Context()
	v := vigil{
		older: olderID, newer: newerID, quiet: w.flags.quietSpan,
		read: func(ctx context.Context) (*rotation, error) { return w.api.rotation(ctx, w.client) },
		tell: func(string, ...any) {},
	}
	stderr := w.cmd.ErrOrStderr()
	if isTerminal(stderr) {
		v.tell = func(format string, args ...any) {
			fmt.Fprintln(stderr, time.Now().UTC().Format("15:04:05"), fmt.Sprintf(format, args...))
		}
	}
	fmt.Fprintf(stderr, "\nWaiting until the older secret has been silent for %s. Interrupt it when you like: both live on.\n", w.flags.quiet)
	older, err := v.keep(ctx)
	switch {
	case err == nil:
		return w.end(ctx, older)
	case errors.Is(err, errEndedBefore):
		return w.ended("The rotation is done: the older secret had ended already.", w.client.ID)
	case !errors.Is(err, errInterrupted):
		return fmt.Errorf("%w\nThe older secret was left alone; see %s", err, w.next(" --status"))
	}
	return fmt.Errorf("%w; both secrets live on\nGo on waiting:  %s\nLook:           %s\nTake it back:   %s",
		err, w.next(" --finish --wait --quiet "+w.flags.quiet), w.next(" --status"), w.next(" --cancel"))
}
