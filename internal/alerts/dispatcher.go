package alerts

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// backoff is how long after each attempt the next one comes. After the last nothing does: that is
// a day after the first.
var backoff = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour,
}

const (
	deadAfter  = 5 * 24 * time.Hour // a webhook that took nothing for so long is switched off
	sendEvery  = time.Second        // so often it is asked what is due
	sendWithin = 10 * time.Second   // so long a receiver may take

	// mailWithin is how long a mail server may take. Many look into a mail before they answer its end,
	// and what is not waited for comes twice (RFC 5321 §4.5.3.2.6).
	mailWithin = time.Minute
	// claimedFor is how long an attempt is left to the server that claimed it: longer than an attempt
	// and the note of what came of it can take.
	claimedFor = 2 * time.Minute
	// sureFor is how long it is believed that an attempt is still one's own. It is less than what
	// another server waits before it takes the lease.
	sureFor = 5 * time.Second
)

// A Dispatcher sends what waits to be sent. Set its fields, then call [Dispatcher.Run].
type Dispatcher struct {
	Store  *Store
	Mailer *Mailer // nil: no mails are sent
	Log    *slog.Logger

	// Transact runs what says that something is about to be sent, and asks the same again at the last
	// moment. That of a lease keeps two servers from doing it at once; that of the database lets them
	// share the work. Either way each attempt is made by one of them.
	Transact func(context.Context, func(context.Context) error) error

	attempt func(context.Context, Delivery) (outcome string, err error) // nil: as it says; tests fake it
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	roots   *x509.CertPool // nil: those of the system
}

// errGone means that a receiver wants to hear nothing any more (410).
var errGone = errors.New("answered 410: it wants to hear nothing any more")

// Run sends what is due until ctx ends, and then waits for what it has begun. Each receiver has its
// turns for itself, so that one which hangs holds up no other.
func (d *Dispatcher) Run(ctx context.Context) error {
	var at work
	defer at.turns.Wait()
	failing := false
	for {
		receivers, err := d.due(ctx, time.Now())
		if err != nil && !failing && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "cannot read which alerts are to be sent, trying on", "err", err)
		}
		failing = err != nil
		for _, r := range receivers {
			at.begin(r, func() { d.turn(ctx, r) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(sendEvery):
		}
	}
}

// work knows which receivers have their turn.
type work struct {
	turns sync.WaitGroup
	mu    sync.Mutex
	busy  map[string]bool
}

// begin begins a turn of a receiver that has none.
func (w *work) begin(receiver string, turn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[receiver] {
		return
	}
	if w.busy == nil {
		w.busy = map[string]bool{}
	}
	w.busy[receiver] = true
	w.turns.Go(func() {
		turn()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.busy, receiver)
	})
}

// due are the webhooks to which something is to be sent, and "" if mails are.
func (d *Dispatcher) due(ctx context.Context, now time.Time) (receivers []string, err error) {
	rows, err := d.Store.DB.Query(ctx, `SELECT DISTINCT webhook_id FROM alert_deliveries WHERE state = 'waiting' AND next_at <= $1`, database.At(now))
	if err != nil {
		return nil, fmt.Errorf("read which deliveries are due: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read which deliveries are due: %w", err)
		}
		receivers = append(receivers, id)
	}
	return receivers, rows.Err()
}

// turn sends what is due to one receiver, one after the other.
func (d *Dispatcher) turn(ctx context.Context, webhookID string) {
	for ctx.Err() == nil {
		claimed, err := d.claim(ctx, webhookID)
		if err == nil && claimed != nil {
			err = d.try(ctx, *claimed)
		}
		if err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "alerts not sent, trying again", "webhook_id", webhookID, "err", err)
		}
		if err != nil || claimed == nil {
			return
		}
	}
}

// claim notes that the oldest delivery to a webhook that is due is about to be tried, and that it
// is due again if nothing more is heard of it: a server that ends now loses none. It returns nil if
// none is due.
func (d *Dispatcher) claim(ctx context.Context, webhookID string) (claimed *Delivery, err error) {
	err = d.Transact(ctx, func(ctx context.Context) error {
		claimed = nil
		now := time.Now()
		next, err := scanDelivery(d.Store.DB.QueryRow(ctx, `SELECT `+deliveryColumns+` FROM alert_deliveries
			WHERE webhook_id = $1 AND state = 'waiting' AND next_at <= $2 ORDER BY next_at, id LIMIT 1`, webhookID, database.At(now)))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		next.Attempts++
		_, err = d.Store.DB.Exec(ctx, `UPDATE alert_deliveries SET attempts = $1, next_at = $2 WHERE id = $3`, next.Attempts, database.At(now.Add(claimedFor)), next.ID)
		claimed = &next
		return err
	})
	return claimed, err
}

// try makes one attempt, and notes what came of it even if the server is to end. Then the attempt
// has no more time than that of a webhook.
func (d *Dispatcher) try(ctx context.Context, claimed Delivery) error {
	attempt := d.attempt
	if attempt == nil {
		attempt = d.deliver
	}
	within, giveUp := context.WithTimeout(context.WithoutCancel(ctx), claimed.within())
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(sendWithin, giveUp) })()
	outcome, failure := "", errTooOften
	if claimed.Attempts <= len(backoff)+1 {
		outcome, failure = attempt(within, claimed)
	}
	if errors.Is(failure, errNotMine) {
		return failure // what comes of it is for another server to note, or for a later attempt
	}
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendWithin)
	defer cancel()
	return d.Store.DB.Transact(noting, func(ctx context.Context) error {
		if failure == nil {
			return d.Store.arrived(ctx, claimed, outcome, time.Now())
		}
		return d.Store.failed(ctx, claimed, failure, time.Now())
	})
}

// within is how long an attempt may take.
func (d Delivery) within() time.Duration {
	if d.WebhookID == "" {
		return mailWithin
	}
	return sendWithin
}

var errTooOften = errors.New("the server ended during the last attempt")

// errNotMine means that nothing was sent, because another server has the attempt, or may.
var errNotMine = errors.New("another server may be sending it")

// mine asks, at the last moment before something is sent, whether the attempt is still this
// server's: a server that was stopped after its claim may go on when another has long sent the same.
// Whoever is told so sends at once; what is left is a stop between this answer and that.
func (d *Dispatcher) mine(ctx context.Context, claimed Delivery) error {
	began := time.Now().Round(0) // the clock on the wall goes on while a machine sleeps
	var n int
	err := d.Transact(ctx, func(ctx context.Context) error {
		return d.Store.DB.QueryRow(ctx, `SELECT count(*) FROM alert_deliveries WHERE id = $1 AND state = 'waiting' AND attempts = $2`,
			claimed.ID, claimed.Attempts).Scan(&n)
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errNotMine, err)
	case n == 0 || time.Since(began) > sureFor:
		return errNotMine
	}
	return nil
}

// deliver sends to whom it is for.
func (d *Dispatcher) deliver(ctx context.Context, claimed Delivery) (outcome string, err error) {
	if claimed.WebhookID != "" {
		return d.post(ctx, claimed)
	}
	return d.mail(ctx, claimed)
}

// arrived notes that a receiver took a delivery.
func (s *Store) arrived(ctx context.Context, d Delivery, outcome string, now time.Time) error {
	_, err := s.DB.Exec(ctx, `UPDATE alert_deliveries SET state = $1, done_at = $2, outcome = $3 WHERE id = $4`,
		string(Delivered), database.At(now), outcome, d.ID)
	if err == nil && d.WebhookID != "" {
		_, err = s.DB.Exec(ctx, `UPDATE webhooks SET failing_since = 0 WHERE id = $1 AND failing_since <> 0`, d.WebhookID)
	}
	if err != nil {
		return fmt.Errorf("note that %s arrived: %w", d.ID, err)
	}
	return nil
}

// failed notes that an attempt came to nothing, which may have been the last. It says nothing of a
// delivery that another server has tried since.
func (s *Store) failed(ctx context.Context, d Delivery, failure error, now time.Time) error {
	state, next, done := Failed, now, now
	if d.Attempts <= len(backoff) && !errors.Is(failure, errGone) && !errors.Is(failure, errNobody) {
		state, next, done = Waiting, now.Add(backoff[d.Attempts-1]), time.Time{}
	}
	n, err := s.DB.Exec(ctx, `UPDATE alert_deliveries SET state = $1, next_at = $2, done_at = $3, outcome = $4 WHERE id = $5 AND state = 'waiting' AND attempts = $6`,
		string(state), database.At(next), database.At(done), failure.Error(), d.ID, d.Attempts)
	if err != nil {
		return fmt.Errorf("note that %s did not arrive: %w", d.ID, err)
	}
	if n == 0 || d.WebhookID == "" || errors.Is(failure, errNobody) {
		return nil
	}
	return s.failing(ctx, d.WebhookID, state == Failed, errors.Is(failure, errGone), now)
}

// failing notes that a webhook takes nothing, and switches off one that has not for long when a
// delivery is given up: until then it has its day to come back.
func (s *Store) failing(ctx context.Context, webhookID string, givenUp, gone bool, now time.Time) error {
	_, err := s.DB.Exec(ctx, `UPDATE webhooks SET failing_since = $1 WHERE id = $2 AND failing_since = 0`, database.At(now), webhookID)
	if err != nil {
		return fmt.Errorf("note that webhook %s fails: %w", webhookID, err)
	}
	if !givenUp {
		return nil
	}
	w, err := s.Webhook(ctx, webhookID)
	if errors.Is(err, ErrNotFound) || err == nil && !w.DisabledAt.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	if !gone && now.Sub(w.FailingSince) < deadAfter {
		return nil
	}
	return s.switchOff(ctx, w, now)
}

// switchOff has a webhook told of nothing any more, and tells so.
func (s *Store) switchOff(ctx context.Context, w Webhook, now time.Time) error {
	if _, err := s.DB.Exec(ctx, `UPDATE webhooks SET disabled_at = $1 WHERE id = $2`, database.At(now), w.ID); err != nil {
		return fmt.Errorf("switch off webhook %s: %w", w.ID, err)
	}
	return s.Raise(ctx, Alert{
		Kind: WebhookSwitchedOff, Once: fmt.Sprintf("%s %d", w.ID, now.Unix()), At: now,
		Text: fmt.Sprintf("The webhook %s to %s was switched off: it has taken nothing since %s. When it is well again, switch it on; what it missed is not sent again.",
			w.ID, hostOf(w.URL), w.FailingSince.Format("2006-01-02 15:04 UTC")),
	})
}
