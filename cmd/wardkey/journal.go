package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/tokens"
)

// journalName is the journal's name in the data directory.
const journalName = "revocations.jsonl"

func (c *config) journalPath() string { return filepath.Join(c.dataDir, journalName) }

// A journal is a file beside the database that says again what the audit log says was revoked or
// limited, so that a backup which is restored brings nothing back (docs/decisions/0014). What stands
// in it is taken from the audit log alone: what others do on the same database stands in it too.
type journal struct {
	path    string
	db      *database.DB
	log     *slog.Logger
	audit   *audit.Log
	clients *clients.Store
	people  *people.People
	keys    *tokens.Keys

	failing atomic.Bool // the last try to write it failed, and that was said

	mu       sync.Mutex
	position position // in the audit log, up to which the file has everything
	size     int64    // of the file then
}

func (p *parts) newJournal() *journal {
	return &journal{
		path: p.config.journalPath(), db: p.db, log: p.log, audit: p.audit,
		clients: clients.NewStore(p.db), people: p.people, keys: p.keys,
	}
}

// start compares the journal with the database and revokes again what a backup brought back. It
// comes before the first request is answered.
func (j *journal) start(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	file, err := openJournalFile(j.path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // what was written was synced
	return j.begin(ctx, file)
}

// follow brings the journal up to date. When it returns, every revocation that was committed
// before it began is on the disk.
func (j *journal) follow(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	end, err := logEnd(ctx, j.db)
	if err != nil || end == j.position {
		return err
	}
	continues, err := logHas(ctx, j.db, j.position)
	if err != nil {
		return err
	}
	fresh, err := loggedRevocations(ctx, j.db, j.position.seq, end.seq)
	if err != nil {
		return err
	}
	if continues && len(fresh) == 0 {
		j.position = end
		return nil
	}
	return j.write(ctx, end, fresh, continues)
}

// write adds fresh entries, or compares everything where the file or the log is not what it was.
func (j *journal) write(ctx context.Context, end position, fresh []entry, continues bool) error {
	file, err := openJournalFile(j.path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // what was written was synced
	tail, whole, err := file.tail(j.size)
	if err != nil {
		return err
	}
	if !whole || !continues {
		return j.begin(ctx, file)
	}
	return j.add(file, end, lacking(fresh, tail))
}

// begin compares all of the journal with all of the database.
func (j *journal) begin(ctx context.Context, file *journalFile) error {
	known, err := j.readAll(ctx, file)
	if err != nil {
		return err
	}
	found, err := compare(ctx, j.db, known)
	if err != nil {
		return err
	}
	if err := j.restore(ctx, found); err != nil {
		return err
	}
	if found.continues && len(found.again) == 0 {
		return j.add(file, found.end, found.behind)
	}
	// What was done just now is in the log as well.
	end, err := logEnd(ctx, j.db)
	if err != nil {
		return err
	}
	lines, err := unlogged(ctx, j.db, known, end)
	if err != nil {
		return err
	}
	if !found.continues {
		lines = append(lines, entry{RestoredAt: time.Now().UTC().Truncate(time.Second), Seq: end.seq, Hash: end.hash})
	}
	return j.add(file, end, lines)
}

// errOtherLog means that a journal is not of this database as it is.
var errOtherLog = errors.New("it is of another database, or a backup of this one was restored; the next start of wardkey serve compares them")

// catchUp adds to a journal that is there what was done without a server, and revokes nothing again.
// Where there is none, the first start makes it.
func (j *journal) catchUp(ctx context.Context) error {
	if _, err := os.Stat(j.path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	file, err := openJournalFile(j.path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // what was written was synced
	known, err := j.readAll(ctx, file)
	if err != nil {
		return err
	}
	found, err := compare(ctx, j.db, known)
	if err != nil {
		return err
	}
	if !found.continues {
		return fmt.Errorf("%s: %w", j.path, errOtherLog)
	}
	return j.add(file, found.end, found.behind)
}

// readAll reads the journal and cuts off a line that was torn when a server ended in the middle
// of it: the audit log still has what it said.
func (j *journal) readAll(ctx context.Context, file *journalFile) ([]entry, error) {
	known, torn, err := file.read()
	if err != nil {
		return nil, fmt.Errorf("%s, %w", j.path, err)
	}
	if torn > 0 {
		j.log.WarnContext(ctx, "the last line of the journal of revocations was torn; it is cut off and written again from the audit log",
			"file", j.path, "bytes", torn)
	}
	return known, nil
}

// add appends lines, after which the file has everything up to the end of the log.
func (j *journal) add(file *journalFile, end position, lines []entry) error {
	size, err := file.append(lines)
	if err != nil {
		return fmt.Errorf("write %s: %w", j.path, err)
	}
	j.position, j.size = end, size
	return nil
}

// How long the journal is waited for: by an answer of the admin API, and by who has the time for
// revoking again what was restored under a running server.
const (
	answerPatience = 5 * time.Second
	followPatience = time.Minute
)

// committed is told of every change before the admin API answers. An act that cannot be written
// down is done all the same: run goes on trying.
func (j *journal) committed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerPatience)
	defer cancel()
	j.try(ctx)
}

// run keeps the journal up to date with what others do, until ctx ends.
func (j *journal) run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			limited, cancel := context.WithTimeout(ctx, followPatience)
			j.try(limited)
			cancel()
		}
	}
}

// try follows the audit log once, and says when that begins to fail and when it works again.
func (j *journal) try(ctx context.Context) {
	switch err := j.follow(ctx); {
	case errors.Is(ctx.Err(), context.Canceled): // the server ends
	case err == nil && j.failing.Swap(false):
		j.log.InfoContext(ctx, "the journal of revocations is up to date again", "file", j.path)
	case err != nil && !j.failing.Swap(true):
		j.log.ErrorContext(ctx, "the journal of revocations cannot be brought up to date; trying again each second. Until then a backup that is restored may bring back what was revoked",
			"file", j.path, "err", err)
	}
}

// readJournal reads the journal as it is, and changes nothing. It returns an error that wraps
// os.ErrNotExist if there is none.
func readJournal(path string) (known []entry, torn int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("read the journal of revocations: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	known, whole, err := readEntries(f)
	if err != nil {
		return nil, 0, fmt.Errorf("%s, %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("read the journal of revocations: %w", err)
	}
	return known, max(info.Size()-whole, 0), nil
}
