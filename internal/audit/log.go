package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Log is the audit log in a database.
type Log struct {
	db  *database.DB
	key []byte
}

// NewLog returns the log in db, which has the current schema. The key seals it; it is the same on
// every server of one database, and not in it.
func NewLog(db *database.DB, key []byte) *Log { return &Log{db: db, key: key} }

// An Act is what is recorded beside the origin in the context.
type Act struct {
	Action   string
	Target   Target
	ClientID string            // the client that it is about; may be empty
	Changes  map[string]Change // may be nil
	At       time.Time
}

// Record adds an event in the transaction of ctx, in which the act itself happens; outside of one
// it is a transaction by itself.
func (l *Log) Record(ctx context.Context, acts ...Act) error {
	if len(acts) == 0 {
		return nil
	}
	err := l.db.Transact(ctx, func(ctx context.Context) error {
		// Whoever adds moves the end first, so that of two at once one waits or begins anew.
		var last Event
		err := l.db.QueryRow(ctx, `UPDATE audit_head SET seq = seq + $1 WHERE id = 1 RETURNING seq - $1, hash, seal`, len(acts)).Scan(&last.Seq, &last.Hash, &last.seal)
		if err != nil {
			return err
		}
		if !l.ends(last) {
			// Going on as if nothing was would make the end look right again.
			acts = append([]Act{{Action: Broken, Target: Target{Kind: "audit_log", ID: strconv.FormatInt(last.Seq, 10)}, At: time.Now()}}, acts...)
			if _, err := l.db.Exec(ctx, `UPDATE audit_head SET seq = seq + 1 WHERE id = 1`); err != nil {
				return err
			}
		}
		for some := range slices.Chunk(acts, maxRows) {
			if last, err = l.add(ctx, last, some); err != nil {
				return err
			}
		}
		_, err = l.db.Exec(ctx, `UPDATE audit_head SET hash = $1, seal = $2 WHERE id = 1`, last.Hash, mac(l.key, sealedHead, last.Seq, last.Hash))
		return err
	})
	if err != nil {
		return fmt.Errorf("record %s in the audit log: %w", acts[0].Action, err)
	}
	return nil
}

// maxRows is how many events one statement writes.
const maxRows = 100

// add writes events behind the last one, and returns the one that is last then.
func (l *Log) add(ctx context.Context, last Event, acts []Act) (Event, error) {
	origin := From(ctx)
	var args []any
	for _, act := range acts {
		changes, err := compact(act.Changes)
		if err != nil {
			return last, err
		}
		e := Event{
			Seq: last.Seq + 1, ID: rand.Text(), At: act.At.UTC().Truncate(time.Second), Actor: origin.Actor, Action: act.Action,
			Target: act.Target, ClientID: act.ClientID, Changes: changes, IP: origin.IP, RequestID: origin.RequestID, Previous: last.Hash,
		}
		if e.Hash, err = e.sum(); err != nil {
			return last, err
		}
		args = append(args, e.Seq, e.ID, database.At(e.At), e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Action, e.Target.Kind, e.Target.ID, e.Target.Name,
			e.ClientID, string(e.Changes), e.IP, e.RequestID, e.Hash, mac(l.key, sealedEvent, e.Seq, e.Hash))
		last = e
	}
	_, err := l.db.Exec(ctx, `INSERT INTO audit_events (`+columns+`) VALUES `+database.Rows(len(acts), 16), args...)
	return last, err
}

// compact is the JSON of changes, in the order of their members.
func compact(changes map[string]Change) (json.RawMessage, error) {
	if changes == nil {
		changes = map[string]Change{}
	}
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(changes); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(text.Bytes()), nil
}

const columns = `seq, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name,
	client_id, changes, ip, request_id, hash, seal`

func scan(row interface{ Scan(dest ...any) error }) (Event, error) {
	var e Event
	var at database.Time
	var changes string
	err := row.Scan(&e.Seq, &e.ID, &at, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Target.Kind, &e.Target.ID, &e.Target.Name,
		&e.ClientID, &changes, &e.IP, &e.RequestID, &e.Hash, &e.seal)
	if err != nil {
		return e, fmt.Errorf("read an audit event: %w", err)
	}
	e.At, e.Changes = at.Time, json.RawMessage(changes)
	return e, nil
}

// A Filter says which events are wanted; what is zero does not matter.
type Filter struct {
	ClientID string // about this client, or by it
	Actor    string // an id or a name
	Action   string // client.create; or client for all that was done to clients
	Since    time.Time
	Until    time.Time // not itself
}

// where is the condition of a filter, with the arguments that it names.
func (f Filter) where() (condition string, args []any) {
	conditions := []string{"TRUE"}
	add := func(format string, value any) {
		args = append(args, value)
		conditions = append(conditions, strings.ReplaceAll(format, "?", "$"+strconv.Itoa(len(args))))
	}
	if f.ClientID != "" {
		add(`(client_id = ? OR actor_id = ?)`, f.ClientID)
	}
	if f.Actor != "" {
		add(`(actor_id = ? OR actor_name = ? OR actor_kind = ?)`, f.Actor)
	}
	switch {
	case strings.Contains(f.Action, "."):
		add(`action = ?`, f.Action)
	case f.Action != "":
		add(`action > ? || '.'`, f.Action)
		add(`action < ? || '/'`, f.Action) // the character after the dot
	}
	if !f.Since.IsZero() {
		add(`at >= ?`, database.At(f.Since))
	}
	if !f.Until.IsZero() {
		add(`at < ?`, database.At(f.Until))
	}
	return strings.Join(conditions, " AND "), args
}

// Events returns at most limit events, newest first, that are older than the one with the number
// before; zero begins with the newest.
func (l *Log) Events(ctx context.Context, f Filter, before int64, limit int) ([]Event, error) {
	where, args := f.where()
	if before > 0 {
		args = append(args, before)
		where += ` AND seq < $` + strconv.Itoa(len(args))
	}
	args = append(args, limit)
	return l.list(ctx, where+` ORDER BY seq DESC LIMIT $`+strconv.Itoa(len(args)), args...)
}

func (l *Log) list(ctx context.Context, where string, args ...any) ([]Event, error) {
	rows, err := l.db.Query(ctx, `SELECT `+columns+`, COALESCE((SELECT hash FROM audit_events p WHERE p.seq = e.seq - 1), '')
		FROM audit_events e WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer rows.Close()
	found := []Event{}
	for rows.Next() {
		var previous string
		e, err := scan(withLast{rows, &previous})
		if err != nil {
			return nil, err
		}
		e.Previous = previous
		found = append(found, e)
	}
	return found, rows.Err()
}

// withLast scans one more column.
type withLast struct {
	rows interface{ Scan(dest ...any) error }
	last any
}

func (w withLast) Scan(dest ...any) error { return w.rows.Scan(append(dest, w.last)...) }

// chunk is how many events are read at a time.
const chunk = 500

// All returns every event that the filter wants, oldest first, as far as the log reached when it
// was called.
func (l *Log) All(ctx context.Context, f Filter) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var end, last int64
		if err := l.db.QueryRow(ctx, `SELECT seq FROM audit_head WHERE id = 1`).Scan(&end); err != nil {
			yield(Event{}, fmt.Errorf("read the audit log: %w", err))
			return
		}
		where, args := f.where()
		n := len(args)
		where += fmt.Sprintf(` AND seq > $%d AND seq <= $%d ORDER BY seq LIMIT %d`, n+1, n+2, chunk)
		for {
			events, err := l.list(ctx, where, append(args[:n:n], last, end)...)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
				last = e.Seq
			}
			if len(events) < chunk {
				return
			}
		}
	}
}

// Verify goes through the whole log while others may add to it. It returns how many events are as
// they were written, and the first fault, nil if there is none.
func (l *Log) Verify(ctx context.Context) (events int64, fault *Fault, err error) {
	var c chain
	for {
		// Where the log ends is read first: what that says was written is there to be read.
		end, err := l.head(ctx)
		if err != nil {
			return c.last, nil, err
		}
		found, err := l.stored(ctx, c)
		if err != nil {
			return c.last, nil, err
		}
		if len(found) == 0 {
			return c.last, l.compare(c, end), nil
		}
		for _, e := range found {
			events := c.last
			if fault := c.next(e); fault != nil {
				return events, fault, nil
			}
			if !hmac.Equal([]byte(e.seal), []byte(mac(l.key, sealedEvent, e.Seq, e.Hash))) {
				return events, &Fault{e.Seq, fmt.Sprintf("event %d was not written by a server: its seal is not right", e.Seq)}, nil
			}
			if e.Action == Broken {
				return events, &Fault{e.Seq, fmt.Sprintf("when event %d was written, the end of the log before it had been changed, as by taking events away", e.Seq)}, nil
			}
		}
	}
}

// head reads where the log ends: the number and hash of its last event, and their seal.
func (l *Log) head(ctx context.Context) (end Event, err error) {
	err = l.db.QueryRow(ctx, `SELECT seq, hash, seal FROM audit_head WHERE id = 1`).Scan(&end.Seq, &end.Hash, &end.seal)
	if err != nil {
		err = fmt.Errorf("read where the audit log ends: %w", err)
	}
	return end, err
}

// Broken is the action of an event which says that the end of the log before it was not as a
// server had left it. Whoever changed it, the log tells from then on.
const Broken = "audit_log.broken"

// ends says whether the end of the log is as a server left it. Until the first event nobody has
// sealed it: a log that was emptied again is told by the journal beside the database.
func (l *Log) ends(end Event) bool {
	untouched := end.Seq == 0 && end.Hash == "" && end.seal == ""
	return untouched || hmac.Equal([]byte(end.seal), []byte(mac(l.key, sealedHead, end.Seq, end.Hash)))
}

// compare says what is wrong with where the chain ends.
func (l *Log) compare(c chain, end Event) *Fault {
	switch {
	case !l.ends(end):
		return &Fault{end.Seq, "the end of the log was changed: its seal is not right"}
	case end.Seq != c.last:
		return &Fault{min(end.Seq, c.last) + 1, fmt.Sprintf("the log should end with event %d and ends with event %d", end.Seq, c.last)}
	case end.Hash != c.hash:
		return &Fault{end.Seq, "the log ends with another event than was written"}
	}
	return nil
}

// stored reads the events after those in the chain, whose hash the first of them must carry.
func (l *Log) stored(ctx context.Context, c chain) ([]Event, error) {
	after := c.last
	if after == 0 {
		after = math.MinInt64 // what stands before the first does not belong there
	}
	rows, err := l.db.Query(ctx, `SELECT `+columns+` FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2`, after, chunk)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer rows.Close()
	var found []Event
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return nil, err
		}
		e.Previous = c.hash
		c.hash = e.Hash
		found = append(found, e)
	}
	return found, rows.Err()
}
