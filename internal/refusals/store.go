package refusals

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// kept is how long rows are.
const kept = 7 * 24 * time.Hour

// batch is how many rows one statement writes.
const batch = 256

// write adds counts to rows, many in a statement, each of which is right by itself.
func (t *Tally) write(ctx context.Context, some []pending) error {
	deleted, err := t.deleted(ctx, some)
	if err != nil {
		return err
	}
	var args []any
	for _, p := range some {
		clientID, cause := p.place.clientID, p.place.cause
		if deleted[p.claimed] {
			clientID = p.claimed
			if cause == UnknownClient {
				cause = ClientDeleted
			}
		}
		args = append(args, p.bucket.String(), clientID, p.place.idHash, string(cause), p.place.detail, p.address, p.hour, p.count, p.first, p.last)
	}
	_, err = t.db.Exec(ctx, `INSERT INTO refusals (bucket, client_id, id_hash, cause, detail, address, hour, count, first_at, last_at)
		VALUES `+database.Rows(len(some), 10)+`
		ON CONFLICT (bucket) DO UPDATE SET count = refusals.count + excluded.count,
			client_id = CASE excluded.client_id WHEN '' THEN refusals.client_id ELSE excluded.client_id END,
			cause = CASE excluded.client_id WHEN '' THEN refusals.cause ELSE excluded.cause END,
			first_at = CASE WHEN excluded.first_at < refusals.first_at THEN excluded.first_at ELSE refusals.first_at END,
			last_at = CASE WHEN excluded.last_at > refusals.last_at THEN excluded.last_at ELSE refusals.last_at END`, args...)
	return err
}

// deleted says which of the ids that no client has are those of deleted clients.
func (t *Tally) deleted(ctx context.Context, some []pending) (map[string]bool, error) {
	var claimed []any
	for _, p := range some {
		if p.claimed != "" {
			claimed = append(claimed, p.claimed)
		}
	}
	if len(claimed) == 0 {
		return nil, nil
	}
	rows, err := t.db.Query(ctx, `SELECT id FROM deleted_clients WHERE id IN `+database.Places(0, len(claimed)), claimed...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		found[id] = true
	}
	return found, rows.Err()
}

const columns = `bucket, client_id, id_hash, cause, detail, address, count, first_at, last_at`

func scan(from interface{ Scan(dest ...any) error }) (r Row, err error) {
	var first, last database.Time
	err = from.Scan(&r.Bucket, &r.ClientID, &r.IDHash, &r.Cause, &r.Detail, &r.Address, &r.Count, &first, &last)
	r.FirstAt, r.LastAt = first.Time, last.Time
	return r, err
}

// ByErrorID returns the row that an error_id leads to, and when the request was made that was
// answered with it. It returns ErrNotFound. It writes first what is not yet in the store, so it is
// not for a transaction that may run more than once.
func (t *Tally) ByErrorID(ctx context.Context, errorID string) (Row, time.Time, error) {
	b, at, ok := t.open(errorID)
	if !ok {
		return Row{}, time.Time{}, ErrNotFound
	}
	if err := t.flushInTime(ctx); err != nil {
		return Row{}, time.Time{}, err
	}
	r, err := scan(t.db.QueryRow(ctx, `SELECT `+columns+` FROM refusals WHERE bucket = $1`, b.String()))
	if errors.Is(err, sql.ErrNoRows) {
		return Row{}, time.Time{}, ErrNotFound
	}
	if err != nil {
		return Row{}, time.Time{}, fmt.Errorf("read a refused token request: %w", err)
	}
	return r, at, nil
}

// A Filter says which rows are wanted; what is zero does not matter.
type Filter struct {
	ClientID string // as it was sent, whether there was such a client then or not
	Cause    Cause
	Since    time.Time
}

// A Position is where a page ended.
type Position struct {
	LastAt time.Time
	Bucket string
}

// Position is where a page ends of which the row is the last.
func (r Row) Position() Position { return Position{r.LastAt, r.Bucket} }

// where is the condition of a filter behind a position, with the arguments that it names.
func (f Filter) where(after Position) (condition string, args []any) {
	conditions := []string{"TRUE"}
	add := func(condition string, values ...any) {
		conditions = append(conditions, condition+" "+database.Places(len(args), len(values)))
		args = append(args, values...)
	}
	if f.ClientID != "" {
		add(`id_hash =`, hashOf(f.ClientID))
	}
	if f.Cause != "" {
		add(`cause =`, string(f.Cause))
	}
	if !f.Since.IsZero() {
		add(`last_at >=`, database.At(f.Since))
	}
	if after != (Position{}) {
		add(`(last_at, bucket) <`, database.At(after.LastAt), after.Bucket)
	}
	return strings.Join(conditions, " AND "), args
}

// List returns at most limit rows, newest first, behind a position; the zero one begins with the
// newest. Like ByErrorID it writes first.
func (t *Tally) List(ctx context.Context, f Filter, after Position, limit int) ([]Row, error) {
	if err := t.flushInTime(ctx); err != nil {
		return nil, err
	}
	where, args := f.where(after)
	rows, err := t.db.Query(ctx, `SELECT `+columns+` FROM refusals WHERE `+where+`
		ORDER BY last_at DESC, bucket DESC LIMIT `+database.Places(len(args), 1), append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("read refused token requests: %w", err)
	}
	defer rows.Close()
	found := []Row{}
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read refused token requests: %w", err)
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// Purge forgets the rows that had seen no refusal for seven days by now.
func (t *Tally) Purge(ctx context.Context, now time.Time) error {
	if _, err := t.db.Exec(ctx, `DELETE FROM refusals WHERE last_at < $1`, database.At(now.Add(-kept))); err != nil {
		return fmt.Errorf("forget old refused token requests: %w", err)
	}
	return nil
}
