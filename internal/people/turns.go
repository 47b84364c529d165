package people

import (
	"context"
	"time"
)

// Turns let few hashes run at once. Those that come meanwhile wait in the order in which they
// came, not too many and not for long.
type turns struct {
	running, waiting chan struct{}
}

const (
	maxRunning = 2
	maxWaiting = 20
	patience   = 5 * time.Second
)

func newTurns() turns {
	return turns{running: make(chan struct{}, maxRunning), waiting: make(chan struct{}, maxWaiting)}
}

// take waits for a turn, which ends when done is called. It returns ErrBusy if too many wait
// already, or this one for too long.
func (t turns) take(ctx context.Context) (done func(), err error) {
	done = func() { <-t.running }
	select {
	case t.running <- struct{}{}:
		return done, nil
	default:
	}
	select {
	case t.waiting <- struct{}{}:
		defer func() { <-t.waiting }()
	default:
		return nil, ErrBusy
	}
	select {
	case t.running <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(patience):
		return nil, ErrBusy
	}
}
