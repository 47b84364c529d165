package alerts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A DeliveryState says what became of a delivery.
type DeliveryState string

// The states of deliveries.
const (
	Waiting   DeliveryState = "waiting"
	Delivered DeliveryState = "delivered"
	Failed    DeliveryState = "failed" // given up
)

// A Delivery is one alert on its way to one receiver.
type Delivery struct {
	ID        string // the webhook-id, the same with each attempt
	AlertID   string // "" for a test
	WebhookID string // "" for an e-mail
	AdminID   string // "" for a webhook
	State     DeliveryState
	Attempts  int
	NextAt    time.Time // when it is tried again; zero if it is not
	CreatedAt time.Time
	DoneAt    time.Time // zero if it waits
	Outcome   string    // of the last attempt, in words

	event string // what is sent
}

// outgoing is what is known of a delivery before it is saved.
type outgoing struct{ alertID, webhookID, adminID, event string }

// send has something sent by whichever server does that.
func (s *Store) send(ctx context.Context, o outgoing, now time.Time) error {
	_, err := s.DB.Exec(ctx, `INSERT INTO alert_deliveries (id, alert_id, webhook_id, admin_id, event, state, attempts, next_at, created_at, done_at, outcome)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7, 0, '')`,
		rand.Text(), o.alertID, o.webhookID, o.adminID, o.event, string(Waiting), database.At(now))
	if err != nil {
		return fmt.Errorf("save a delivery: %w", err)
	}
	return nil
}

// receivers are to whom an alert goes: webhooks that want it, and admins who may act on it and did
// not say that they want no mail of it.
func (s *Store) receivers(ctx context.Context, a Alert) (to []outgoing, err error) {
	hooks, err := s.Webhooks(ctx, Position{}, maxWebhooks)
	if err != nil {
		return nil, err
	}
	for _, w := range hooks {
		if w.wants(a.Kind) {
			to = append(to, outgoing{webhookID: w.ID})
		}
	}
	if !s.Mails {
		return to, nil
	}
	rows, err := s.DB.Query(ctx, `SELECT id FROM admins WHERE role IN ('owner', 'admin') AND NOT EXISTS (SELECT 1 FROM alert_mutes m
		WHERE m.admin_id = admins.id AND m.kind IN ('', $1) AND m.client_id IN ('', $2)) ORDER BY id`, string(a.Kind), a.ClientID)
	if err != nil {
		return nil, fmt.Errorf("list who gets mails: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var o outgoing
		if err := rows.Scan(&o.adminID); err != nil {
			return nil, fmt.Errorf("list who gets mails: %w", err)
		}
		to = append(to, o)
	}
	return to, rows.Err()
}

// Test sends something to a webhook that is no alert. It returns ErrNotFound.
func (s *Store) Test(ctx context.Context, webhookID string, now time.Time) error {
	if _, err := s.Webhook(ctx, webhookID); err != nil {
		return err
	}
	text, err := json.Marshal(event{"webhook.test", now.UTC().Truncate(time.Second), eventData{
		Title: "Test", Text: "This is a test. Nothing has happened.", URL: s.Pages + "/webhooks",
	}})
	if err != nil {
		return err
	}
	return s.send(ctx, outgoing{webhookID: webhookID, event: string(text)}, now)
}

const deliveryColumns = `id, alert_id, webhook_id, admin_id, event, state, attempts, next_at, created_at, done_at, outcome`

func scanDelivery(row scanner) (Delivery, error) {
	var d Delivery
	var next, created, done database.Time
	err := row.Scan(&d.ID, &d.AlertID, &d.WebhookID, &d.AdminID, &d.event, &d.State, &d.Attempts, &next, &created, &done, &d.Outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNotFound
	}
	if err != nil {
		return d, fmt.Errorf("read a delivery: %w", err)
	}
	d.CreatedAt, d.DoneAt = created.Time, done.Time
	if d.State == Waiting {
		d.NextAt = next.Time
	}
	return d, nil
}

// Deliveries returns at most limit deliveries behind a position, newest first: those to one
// webhook, or all.
func (s *Store) Deliveries(ctx context.Context, webhookID string, after Position, limit int) ([]Delivery, error) {
	where, args := "TRUE", []any{}
	if webhookID != "" {
		where, args = "webhook_id = $1", []any{webhookID}
	}
	behind, args := after.after("created_at", args)
	args = append(args, limit)
	return list(ctx, s, scanDelivery, `SELECT `+deliveryColumns+` FROM alert_deliveries WHERE `+where+behind+
		` ORDER BY created_at DESC, id DESC LIMIT $`+strconv.Itoa(len(args)), args...)
}
