package main

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// The stages of a client's life in the race. Each is entered before the admin API is asked for
// the change that ends the one before, and reached when it has answered.
const (
	whole    = iota // holds baltic and nordic
	narrowed        // holds baltic
	deleted
	stages
)

// A life is one client, with all requesters after it.
type life struct {
	made
	entered, reached atomic.Int64
	answered         [stages]atomic.Int64 // requests that began when the stage was reached
}

// The revocation race: 32 requesters get tokens from every server, while the admin API narrows
// and deletes their client under their hands. Once it has answered, no request that begins gets
// what was taken away; until it is asked, none is refused what is held.
//
// That such a race sees a lookup that is wrong is held by package clients, where one that joins
// queries under way must lose it.
func TestRevocationRace(t *testing.T) {
	rounds := rounds(100)
	if n, err := strconv.Atoi(os.Getenv("WARDKEY_TEST_RACE_ROUNDS")); err == nil {
		rounds = n // 500 are for who has the time
	}
	t.Run("sqlite, one server", func(t *testing.T) {
		file := bootstrapFile(t)
		n := startNode(t, "--demo", "--bootstrap-file", file, "--failures-per-minute", "0")
		must(t, n.signIn(t.Context(), file))
		race(t, rounds/4, n)
	})
	t.Run("postgres, two servers", func(t *testing.T) {
		file := bootstrapFile(t)
		args := []string{"--database", databasetest.PostgresURL(t), "--issuer", "http://localhost:1", "--demo", "--bootstrap-file", file, "--failures-per-minute", "0"}
		a := startNode(t, args...)
		b := startNode(t, args...)
		must(t, a.signIn(t.Context(), file))
		must(t, b.signIn(t.Context(), file))
		race(t, rounds, a, b)
	})
}

func race(t *testing.T, rounds int, nodes ...*node) {
	const requesters = 32
	ctx := t.Context()
	var current atomic.Pointer[life]
	var over atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over.Store(true)
	begin := func(i int) *life {
		c, err := nodes[i%len(nodes)].create(ctx)
		must(t, err)
		l := &life{made: c}
		current.Store(l)
		return l
	}
	l := begin(0)
	for i := range requesters {
		wg.Go(func() {
			for !over.Load() {
				requestOne(ctx, t, nodes[i%len(nodes)], current.Load(), i%3 == 0)
			}
		})
	}
	total := [stages]int64{}
	for i := range rounds {
		admin := nodes[i/2%len(nodes)]
		settle(t, l, whole)
		l.entered.Store(narrowed)
		_, err := admin.call(ctx, http.MethodPatch, "clients/"+l.ID, `{"sections": ["baltic"]}`, http.StatusOK)
		must(t, err)
		l.reached.Store(narrowed)
		settle(t, l, narrowed)
		l.entered.Store(deleted)
		_, err = admin.call(ctx, http.MethodDelete, "clients/"+l.ID, "", http.StatusNoContent)
		must(t, err)
		l.reached.Store(deleted)
		settle(t, l, deleted)
		for stage := range total {
			total[stage] += l.answered[stage].Load()
		}
		l = begin(i)
	}
	t.Logf("%d clients were narrowed and deleted; requests that began after: %d and %d", rounds, total[narrowed], total[deleted])
}

// requestOne asks for one token and judges the answer by the stages before and after.
func requestOne(ctx context.Context, t *testing.T, n *node, l *life, nordic bool) {
	scope, before := "", l.reached.Load()
	if nordic {
		scope = "section:nordic"
	}
	got, err := n.ask(ctx, l.ID, l.Secret, scope)
	after := l.entered.Load()
	if got.status == http.StatusServiceUnavailable {
		return // a slow machine; what was not answered says nothing
	}
	switch {
	case err != nil:
		t.Errorf("ask: %v", err)
	case got.status == http.StatusOK && before == deleted:
		t.Errorf("a request that began when the client was deleted got %q", got.scope)
	case got.status == http.StatusOK && before == narrowed && strings.Contains(got.scope, "nordic"):
		t.Errorf("a request that began when the client had lost nordic got %q", got.scope)
	case got.status != http.StatusOK && (after == whole || after == narrowed && !nordic):
		t.Errorf("a request for %q of what is held is answered %d", scope, got.status)
	case got.status != http.StatusOK && got.status != http.StatusUnauthorized && got.status != http.StatusBadRequest:
		t.Errorf("a request is answered %d", got.status)
	}
	l.answered[before].Add(1)
}

// settle waits until some requests were answered that began when the stage was reached.
func settle(t *testing.T, l *life, stage int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for l.answered[stage].Load() < 16 {
		if time.Now().After(deadline) {
			t.Fatal("the requests are not answered")
		}
		time.Sleep(100 * time.Microsecond)
	}
}
