package lease

import (
	"context"
	"fmt"
	"time"
)

// A Held is a lease in the hands of this server.
type Held struct {
	lease  *Lease
	holder string
	fence  int64
	sureAt time.Time // no other server had it then, by this one's clock
}

// Transact runs fn in one transaction like [database.DB.Transact], if this server still holds the
// lease; otherwise nothing happens and it returns ErrLost.
func (h *Held) Transact(ctx context.Context, fn func(ctx context.Context) error) error {
	return h.lease.DB.Transact(ctx, func(ctx context.Context) error {
		if err := h.check(ctx); err != nil {
			return err
		}
		return fn(ctx)
	})
}

// check reads the row and does not write it: a write would lock out the server that takes over
// from one which was stopped before its commit.
func (h *Held) check(ctx context.Context) error {
	now, err := h.lease.read(ctx)
	if err != nil {
		return fmt.Errorf("check the lease %s: %w", h.lease.Name, err)
	}
	if now.holder != h.holder || now.fence != h.fence {
		return ErrLost
	}
	return nil
}

// keep beats until ctx ends. It calls lose when another server has the lease, or may because no
// beat got through for too long.
func (h *Held) keep(ctx context.Context, lose context.CancelCauseFunc) {
	h.lease.holding.Store(true)
	defer h.lease.holding.Store(false)
	if h.lease.Alone {
		<-ctx.Done()
		return
	}
	tempo := h.lease.tempo()
	pause := tempo.beat
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		beats, err := h.beat(ctx)
		pause = tempo.beat
		switch {
		case err == nil && beats == 1:
			h.sureAt = began
		case err == nil || time.Since(h.sureAt) >= tempo.patience:
			lose(ErrLost)
			return
		default:
			pause = tempo.look
		}
	}
}

// beat shows the others that the holder lives. It is no serializable transaction, so that it
// never gets in the way of those that read the row to check the fence.
func (h *Held) beat(ctx context.Context) (int64, error) {
	tempo := h.lease.tempo()
	ctx, cancel := context.WithTimeout(ctx, min(tempo.beat, tempo.patience-time.Since(h.sureAt)))
	defer cancel()
	return h.lease.DB.Exec(ctx, `UPDATE leases SET beat = beat + 1 WHERE name = $1 AND holder = $2 AND fence = $3`,
		h.lease.Name, h.holder, h.fence)
}

// giveBack lets another server take the lease at once. If that fails, it waits as for one that died.
func (h *Held) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, h.lease.tempo().beat)
	defer cancel()
	_, err := h.lease.DB.Exec(ctx, `UPDATE leases SET holder = '' WHERE name = $1 AND holder = $2 AND fence = $3`,
		h.lease.Name, h.holder, h.fence)
	if err != nil {
		h.lease.Log.WarnContext(ctx, "a lease was not given back; another server takes it soon", "lease", h.lease.Name, "err", err)
	}
}
