package alerts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Store keeps alerts, whom they go to, and what became of that. Set its fields before its methods
// are called; these take part in a transaction of the database.
type Store struct {
	DB *database.DB
	// Key seals the secrets of webhooks. It is the same on every server of one database, not in it,
	// and has 32 bytes.
	Key []byte
	// Pages is the address of the pages, to which what is sent refers.
	Pages string
	// Private is where webhooks may lead, beside the public internet.
	Private Private
	// Mails says whether mails can be sent.
	Mails bool
}

// Raise tells of something, once for each kind and Once, to everybody who wants to hear of it. It
// belongs into the transaction of whatever it tells of.
func (s *Store) Raise(ctx context.Context, a Alert) error {
	if !a.Kind.known() || a.Once == "" {
		return fmt.Errorf("raise an alert: kind %q and once %q do not say what it is", a.Kind, a.Once)
	}
	err := s.DB.Transact(ctx, func(ctx context.Context) error { return s.raise(ctx, a) })
	if err != nil {
		return fmt.Errorf("raise an alert: %w", err)
	}
	return nil
}

func (s *Store) raise(ctx context.Context, a Alert) error {
	a.ID, a.At = rand.Text(), a.At.UTC().Truncate(time.Second)
	if err := s.complete(ctx, &a); err != nil {
		return err
	}
	n, err := s.DB.Exec(ctx, `INSERT INTO alerts (id, told_once, kind, client_id, client_name, text, raised_at, muted, acknowledged_at, acknowledged_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '') ON CONFLICT (told_once) DO NOTHING`,
		a.ID, a.toldOnce(), string(a.Kind), a.ClientID, a.ClientName, a.Text, database.At(a.At), a.Muted)
	if err != nil || n == 0 || a.Muted {
		return err
	}
	event, err := s.event(a)
	if err != nil {
		return err
	}
	to, err := s.receivers(ctx, a)
	if err != nil {
		return err
	}
	for _, d := range to {
		d.alertID, d.event = a.ID, event
		if err := s.send(ctx, d, a.At); err != nil {
			return err
		}
	}
	return nil
}

// toldOnce is what no two alerts have.
func (a *Alert) toldOnce() string { return string(a.Kind) + " " + a.Once }

// complete finds the name of the client, and whether anybody wants to hear of it.
func (s *Store) complete(ctx context.Context, a *Alert) error {
	if a.ClientID != "" && a.ClientName == "" {
		err := s.DB.QueryRow(ctx, `SELECT name FROM clients WHERE id = $1`, a.ClientID).Scan(&a.ClientName)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read the name of client %s: %w", a.ClientID, err)
		}
	}
	var mutes int
	err := s.DB.QueryRow(ctx, `SELECT count(*) FROM alert_mutes WHERE admin_id = '' AND kind IN ('', $1) AND client_id IN ('', $2)`,
		string(a.Kind), a.ClientID).Scan(&mutes)
	if err != nil {
		return fmt.Errorf("read what is muted: %w", err)
	}
	a.Muted = mutes > 0
	return nil
}

// An event is what is sent of an alert (Standard Webhooks).
type event struct {
	Type      string    `json:"type"` // alert.client_expiring
	Timestamp time.Time `json:"timestamp"`
	Data      eventData `json:"data"`
}

type eventData struct {
	ID         string `json:"id,omitempty"`
	Kind       Kind   `json:"kind,omitempty"`
	Title      string `json:"title"`
	ClientID   string `json:"client_id,omitempty"`
	ClientName string `json:"client_name,omitempty"`
	Text       string `json:"text"`
	URL        string `json:"url"` // of the page
}

func (s *Store) event(a Alert) (string, error) {
	text, err := json.Marshal(event{"alert." + string(a.Kind), a.At, eventData{
		ID: a.ID, Kind: a.Kind, Title: a.Kind.Title(), ClientID: a.ClientID, ClientName: a.ClientName, Text: a.Text, URL: s.Pages + "/alerts",
	}})
	return string(text), err
}

const columns = `id, kind, client_id, client_name, text, raised_at, muted, acknowledged_at, acknowledged_by`

func scan(row scanner) (Alert, error) {
	var a Alert
	var raised, acknowledged database.Time
	err := row.Scan(&a.ID, &a.Kind, &a.ClientID, &a.ClientName, &a.Text, &raised, &a.Muted, &acknowledged, &a.AcknowledgedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return a, ErrNotFound
	}
	if err != nil {
		return a, fmt.Errorf("read an alert: %w", err)
	}
	a.At, a.AcknowledgedAt = raised.Time, acknowledged.Time
	return a, nil
}

// Alert returns the alert with the given id, or ErrNotFound.
func (s *Store) Alert(ctx context.Context, id string) (Alert, error) {
	return scan(s.DB.QueryRow(ctx, `SELECT `+columns+` FROM alerts WHERE id = $1`, id))
}

// conditions of the states.
var inState = map[State]string{
	Open:         "acknowledged_at = 0 AND NOT muted",
	Acknowledged: "acknowledged_at > 0",
	Muted:        "muted",
}

// where is the condition of a filter, with the arguments that it names.
func (f Filter) where() (condition string, args []any) {
	conditions := []string{"TRUE"}
	if c := inState[f.State]; c != "" {
		conditions = append(conditions, c)
	}
	for column, value := range map[string]string{"kind": string(f.Kind), "client_id": f.ClientID} {
		if value != "" {
			args = append(args, value)
			conditions = append(conditions, column+" = $"+strconv.Itoa(len(args)))
		}
	}
	return strings.Join(conditions, " AND "), args
}

// after is the condition of a position in a list that begins with the newest.
func (p Position) after(column string, args []any) (condition string, all []any) {
	if p.ID == "" {
		return "", args
	}
	n := len(args)
	return fmt.Sprintf(` AND (%[1]s < $%[2]d OR %[1]s = $%[2]d AND id < $%[3]d)`, column, n+1, n+2), append(args, database.At(p.At), p.ID)
}

// A scanner is a row that was read.
type scanner interface{ Scan(dest ...any) error }

// List returns at most limit alerts behind a position, newest first.
func (s *Store) List(ctx context.Context, f Filter, after Position, limit int) ([]Alert, error) {
	where, args := f.where()
	behind, args := after.after("raised_at", args)
	args = append(args, limit)
	return list(ctx, s, scan, `SELECT `+columns+` FROM alerts WHERE `+where+behind+` ORDER BY raised_at DESC, id DESC LIMIT $`+strconv.Itoa(len(args)), args...)
}

// list reads all rows of a statement.
func list[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	found := []T{}
	rows, err := s.DB.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}

// ManyOpen is how far open alerts are counted: it stands for itself and more.
const ManyOpen = 100

// CountOpen says how many alerts are open, up to a hundred.
func (s *Store) CountOpen(ctx context.Context) (n int, err error) {
	err = s.DB.QueryRow(ctx, `SELECT count(*) FROM (SELECT id FROM alerts WHERE `+inState[Open]+` LIMIT $1) open`, ManyOpen).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the open alerts: %w", err)
	}
	return n, nil
}

// Acknowledge notes that somebody has seen an alert, if nobody had before. It returns ErrNotFound.
func (s *Store) Acknowledge(ctx context.Context, id, by string, now time.Time) (fresh bool, err error) {
	err = s.DB.Transact(ctx, func(ctx context.Context) error {
		if _, err := s.Alert(ctx, id); err != nil {
			return err
		}
		n, err := s.DB.Exec(ctx, `UPDATE alerts SET acknowledged_at = $1, acknowledged_by = $2 WHERE id = $3 AND acknowledged_at = 0`, database.At(now), by, id)
		fresh = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("acknowledge alert %s: %w", id, err)
	}
	return fresh, nil
}

// AcknowledgeAll notes that somebody has seen the open alerts that the filter wants, and says how
// many there were.
func (s *Store) AcknowledgeAll(ctx context.Context, f Filter, by string, now time.Time) (int64, error) {
	f.State = Open
	where, args := f.where()
	n := len(args)
	args = append(args, database.At(now), by)
	done, err := s.DB.Exec(ctx, fmt.Sprintf(`UPDATE alerts SET acknowledged_at = $%d, acknowledged_by = $%d WHERE %s`, n+1, n+2, where), args...)
	if err != nil {
		return 0, fmt.Errorf("acknowledge alerts: %w", err)
	}
	return done, nil
}

// How long what was told is kept.
const (
	alertsKept     = 365 * 24 * time.Hour
	deliveriesKept = 30 * 24 * time.Hour
)

// Purge forgets what was told long before now.
func (s *Store) Purge(ctx context.Context, now time.Time) error {
	if _, err := s.DB.Exec(ctx, `DELETE FROM alerts WHERE raised_at < $1`, database.At(now.Add(-alertsKept))); err != nil {
		return fmt.Errorf("purge alerts: %w", err)
	}
	_, err := s.DB.Exec(ctx, `DELETE FROM alert_deliveries WHERE created_at < $1 AND state <> $2`, database.At(now.Add(-deliveriesKept)), string(Waiting))
	if err == nil {
		_, err = s.DB.Exec(ctx, `DELETE FROM known_networks WHERE NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = owner)
			AND NOT EXISTS (SELECT 1 FROM admins a WHERE a.id = owner)`)
	}
	if err == nil {
		_, err = s.DB.Exec(ctx, `DELETE FROM alert_mutes WHERE admin_id <> '' AND NOT EXISTS (SELECT 1 FROM admins a WHERE a.id = admin_id)`)
	}
	if err != nil {
		return fmt.Errorf("purge deliveries, known networks and mutes: %w", err)
	}
	return nil
}
