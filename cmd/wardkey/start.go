package main

import (
	"context"
	"errors"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/tokens"
)

// How a server that starts waits for a PostgreSQL that is away: soon again, then more seldom. The log
// says so now and then.
const (
	firstWait   = 250 * time.Millisecond
	longestWait = 5 * time.Second
	saidEvery   = time.Minute
)

// start does what needs the store before the first request is answered. It returns the first
// credentials if it made them. A PostgreSQL that is away, or goes away meanwhile, is waited for.
func (p *parts) start(ctx context.Context) (first *firstCredentials, err error) {
	err = p.patiently(ctx, p.openKeys, func(err error) bool { return !errors.Is(err, tokens.ErrMasterKey) })
	if err != nil {
		return nil, err
	}
	p.warnOfFailover(ctx)
	err = p.patiently(ctx, func(ctx context.Context) error { // the database was there a moment ago
		if err := p.journal.start(ctx); err != nil {
			return err
		}
		first, err = p.bootstrap(ctx)
		return err
	}, database.IsUnavailable)
	return first, err
}

// patiently does something that needs the store, and that may be done again, until it is done. An
// embedded store is there or broken; of PostgreSQL, passes says which errors may go away by themselves.
func (p *parts) patiently(ctx context.Context, do func(context.Context) error, passes func(error) bool) error {
	var said time.Time
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := do(ctx)
		switch {
		case err == nil && !said.IsZero():
			p.log.InfoContext(ctx, "the database is there, going on with the start")
			return nil
		case err == nil, ctx.Err() != nil, p.db.Embedded(), !passes(err):
			return err
		case time.Since(said) >= saidEvery:
			p.log.WarnContext(ctx, "the database is not there yet, trying on", "err", err)
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
