package clients

import (
	"context"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// A Lookup finds clients on the token path.
//
// It keeps nothing of a client between requests, so that what is revoked is gone everywhere the
// moment it is committed. To make that cheap, requests that wait at the same time share one
// query. A request joins only a batch whose query has not been sent yet: joining one under way
// could answer with a state from before the request began, and so let a revoked client through.
type Lookup struct {
	// Asked is told of each query: of how many clients, and how long it took. It may be nil; set it
	// before the first call of Client.
	Asked func(clients int, took time.Duration, err error)

	db      *database.DB
	catalog func(context.Context) (*sections.Catalog, error)
	timeout time.Duration

	mu      sync.Mutex
	waiting []*batch  // not sent yet; requests join the last
	senders int       // goroutines that send batches
	sentAt  time.Time // when the last batch was sent

	statements []string // for 1, 2, 4 … maxBatch ids

	known atomic.Pointer[sections.Catalog] // the newest catalog seen; used only if its version is the one read
}

const (
	maxBatch   = 1024                  // different clients that one query reads
	maxSenders = 2                     // queries at once,
	slow       = 20 * time.Millisecond // the second only when the first takes that long
)

// NewLookup returns a lookup that gives up on the database when a request has waited for timeout.
func NewLookup(db *database.DB, timeout time.Duration) *Lookup {
	l := &Lookup{db: db, catalog: sections.NewStore(db).Catalog, timeout: timeout}
	for size := 1; size <= maxBatch; size *= 2 {
		l.statements = append(l.statements, statement(size))
	}
	return l
}

// statement reads so many clients, and the version of the catalog with them.
func statement(size int) string {
	return `SELECT ` + derivedColumns + `, (SELECT version FROM catalog WHERE id = 1)
		FROM clients c WHERE c.id IN ` + database.Places(0, size)
}

// A batch is requests that are answered by one query.
type batch struct {
	begun   time.Time // when its first request came
	ids     []string  // each once
	done    chan struct{}
	clients map[string]*Client // set before done is closed, as are the next two
	catalog *sections.Catalog
	err     error
}

// Client returns the client with the given id as it is now or was after this call began, and
// what existed then. Of the client it knows what a token request needs: not its name, for one. An unknown id is answered with [Nobody], at the cost of a known one. An
// error means that the store could not be asked in time, never that there is no such client.
func (l *Lookup) Client(ctx context.Context, id string) (*Client, *sections.Catalog, error) {
	if !isID(id) {
		id = nobodyID // it costs a read all the same
	}
	b := l.join(id)
	select {
	case <-b.done:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("look up a client: %w", ctx.Err())
	}
	if b.err != nil {
		return nil, nil, fmt.Errorf("look up a client: %w", b.err)
	}
	if c, ok := b.clients[id]; ok {
		return c, b.catalog, nil
	}
	return Nobody, b.catalog, nil
}

// nobodyID is the id that no client has (RFC 9562 §5.9).
const nobodyID = "00000000-0000-0000-0000-000000000000"

// isID says whether a text, which a stranger may have sent, has the form of an id. What has not may
// be nothing that the store takes for text.
func isID(id string) bool {
	_, err := uuid.Parse(id)
	return err == nil && len(id) == len(nobodyID)
}

// join adds the id to the batch that waits, and sees to it that somebody will send it.
func (l *Lookup) join(id string) *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.waiting) - 1
	if last < 0 || len(l.waiting[last].ids) == maxBatch {
		l.waiting = append(l.waiting, &batch{begun: time.Now(), done: make(chan struct{})})
		last++
	}
	b := l.waiting[last]
	if !slices.Contains(b.ids, id) {
		b.ids = append(b.ids, id)
	}
	if l.senders == 0 || l.senders < maxSenders && time.Since(l.sentAt) > slow {
		l.senders++
		go l.send()
	}
	return b
}

// send sends batches until none waits. It ends by itself: each query has a time limit.
func (l *Lookup) send() {
	for {
		// Requests that are ready to run join first: under load this makes batches large, and
		// costs nothing otherwise.
		runtime.Gosched()
		b := l.take()
		if b == nil {
			return
		}
		l.answer(b)
		close(b.done)
	}
}

// take returns the batch to send now; nobody joins it any more. With nil, the sender is done.
func (l *Lookup) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.senders--
		return nil
	}
	b := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.sentAt = time.Now()
	return b
}

// answer reads all clients of the batch, and what exists, in one statement and thus from one
// moment, which is after every request in the batch began. The time that the batch has waited
// counts: no request waits longer than the timeout.
func (l *Lookup) answer(b *batch) {
	ctx, cancel := context.WithDeadline(context.Background(), b.begun.Add(l.timeout))
	defer cancel()
	var version int64
	asked := time.Now()
	b.clients, version, b.err = l.read(ctx, b.ids)
	if l.Asked != nil {
		l.Asked(len(b.ids), time.Since(asked), b.err)
	}
	if b.err != nil {
		return
	}
	if known := l.known.Load(); len(b.clients) == 0 || known != nil && known.Version() == version {
		b.catalog = known
		return
	}
	if b.catalog, b.err = l.catalog(ctx); b.err == nil {
		l.known.Store(b.catalog)
	}
}

func (l *Lookup) read(ctx context.Context, ids []string) (map[string]*Client, int64, error) {
	statement := bits.Len(uint(len(ids) - 1)) // the least power of two that the ids fit in
	args := make([]any, 1<<statement)
	for i := range args {
		args[i] = nobodyID // fills the statement up to its size
		if i < len(ids) {
			args[i] = ids[i]
		}
	}
	rows, err := l.db.QueryPrepared(ctx, l.statements[statement], args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	found := make(map[string]*Client, len(ids))
	var version int64
	for rows.Next() {
		c, err := scanDerived(rows, &version)
		if err != nil {
			return nil, 0, err
		}
		found[c.ID] = c
	}
	return found, version, rows.Err()
}
