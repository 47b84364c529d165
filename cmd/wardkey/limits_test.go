package main

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// A server that was started a moment ago looks at a client where it got tokens before, whatever
// others have failed there since.
func TestHeldOffAfterRestart(t *testing.T) {
	db, log := databasetest.SQLite(t), slog.New(slog.NewTextHandler(io.Discard, nil))
	id, now := uuid.NewString(), time.Now()
	used := clients.NewUsage(db, log)
	used.Record(id, "secret", "192.0.2.1", now.Add(-time.Hour))
	if err := used.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := &parts{config: &config{limits: limitConfig{mode: "enforce", failuresPerMinute: 10}}, db: db, log: log}
	p.limit()
	for i := range 10 {
		for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
			p.failures.Failed(fmt.Sprint("guess", i), address, now)
		}
	}
	if wait := p.failures.Wait(t.Context(), id, "192.0.2.1", now); wait > 0 {
		t.Errorf("the client has to wait %s where it got a token an hour ago", wait)
	}
	if wait := p.failures.Wait(t.Context(), id, "192.0.2.2", now); wait == 0 {
		t.Error("the client need not wait where it never got one")
	}
}
