//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest/pgproxy"
)

// A crowd asks servers for tokens and makes and disables clients, through all troubles, and counts
// what it is answered.
type crowd struct {
	t     *testing.T
	nodes []*node
	day   time.Time // when it began

	patient, mistaken made                 // the one has the right secret, the other a wrong one
	limited           atomic.Pointer[made] // may have dayLimit tokens; another for each trouble

	weather atomic.Pointer[trouble] // each is another pointer
	over    atomic.Bool
	asking  sync.WaitGroup

	mu      sync.Mutex
	counted map[string]map[string]int // answers by client and outcome
	spells  map[*node]*spell          // since the last change of the weather
	tried   []string                  // names of all clients that were asked for
	done    map[string]*acknowledged  // those that the admin API said to be there, by name
}

// A spell is what one server answered for a while.
type spell struct {
	granted, refused   int // token requests, to the patient; the refused were told to come again
	slowest, slowAdmin time.Duration
}

type acknowledged struct{ disabled bool }

const dayLimit = 40

func gather(t *testing.T, nodes []*node) *crowd {
	t.Helper()
	c := &crowd{t: t, nodes: nodes, day: time.Now(), counted: map[string]map[string]int{}, done: map[string]*acknowledged{}}
	c.turn(trouble{name: "calm"})
	c.patient, c.mistaken = c.admit(), c.admit()
	c.mistaken.Secret = c.patient.Secret
	return c
}

// admit makes a client whose answers are counted.
func (c *crowd) admit() (m made) {
	c.t.Helper()
	must(c.t, json.Unmarshal(c.insist(http.MethodPost, "clients", anyClient), &m))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted[m.ID] = map[string]int{}
	return m
}

// insist asks the admin API until it is not told to come again: connections may have died.
func (c *crowd) insist(method, path, body string) []byte {
	c.t.Helper()
	for range 10 {
		if status, text := c.send(c.nodes[0], method, path, body, ""); status != http.StatusServiceUnavailable {
			return text
		}
	}
	c.t.Fatalf("%s %s is never done", method, path)
	return nil
}

// start lets the crowd ask until it is dispersed.
func (c *crowd) start() {
	c.limit()
	for _, n := range c.nodes {
		for range 3 {
			c.asking.Go(func() { c.ask(n, func() made { return c.patient }, http.StatusOK) })
		}
		c.asking.Go(func() { c.ask(n, func() made { return c.mistaken }, http.StatusUnauthorized) })
		c.asking.Go(func() { c.ask(n, func() made { return *c.limited.Load() }, http.StatusOK, http.StatusTooManyRequests) })
		c.asking.Go(func() { c.administer(n) })
		c.asking.Go(func() { c.readKeys(n) })
	}
}

func (c *crowd) disperse() {
	c.over.Store(true)
	c.asking.Wait()
}

// limit lets another client be the limited one.
func (c *crowd) limit() {
	m := c.admit()
	c.insist(http.MethodPatch, "clients/"+m.ID, fmt.Sprintf(`{"plan": "enterprise", "limits": {"per_day": %d}}`, dayLimit))
	c.limited.Store(&m)
}

// turn begins a new spell.
func (c *crowd) turn(weather trouble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.weather.Store(&weather)
	c.spells = map[*node]*spell{}
	for _, n := range c.nodes {
		c.spells[n] = &spell{}
	}
}

// outcomes are what answers are counted as. What is told to come again is not counted.
var outcomes = map[int]string{
	http.StatusOK: "granted", http.StatusUnauthorized: "wrong_secret", http.StatusTooManyRequests: "rate_limited",
}

// ask asks for tokens. Whoever must not be told what is wanted, or cannot be because the database
// is gone, is told to come again, and nothing else.
func (c *crowd) ask(n *node, client func() made, want ...int) {
	for ; !c.over.Load(); time.Sleep(10 * time.Millisecond) {
		who, weather, began := client(), c.weather.Load(), time.Now()
		got, err := n.ask(context.Background(), who.ID, who.Secret, "")
		c.note(n, who, weather, got, time.Since(began))
		again := got.status == http.StatusServiceUnavailable && got.wait != ""
		wanted := slices.Contains(want, got.status) && (!weather.gone || weather != c.weather.Load())
		if err != nil || !wanted && !again {
			c.t.Errorf("%s: a request is answered %d, Retry-After %q, %v; want one of %d, or 503 with Retry-After", weather.name, got.status, got.wait, err, want)
		}
	}
}

func (c *crowd) note(n *node, who made, weather *trouble, got reply, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if outcome, ok := outcomes[got.status]; ok {
		c.counted[who.ID][outcome]++
	}
	if weather != c.weather.Load() {
		return // it began before
	}
	s := c.spells[n]
	s.slowest = max(s.slowest, took)
	switch {
	case who != c.patient:
	case got.status == http.StatusOK:
		s.granted++
	default:
		s.refused++
	}
}

// readKeys reads the keys that tokens are checked with. They need no database.
func (c *crowd) readKeys(n *node) {
	for ; !c.over.Load(); time.Sleep(50 * time.Millisecond) {
		answer, err := n.http.Get(n.url + "/.well-known/jwks.json")
		if err != nil {
			c.t.Errorf("%s: the keys cannot be read: %v", c.weather.Load().name, err)
			continue
		}
		if answer.StatusCode != http.StatusOK {
			c.t.Errorf("%s: the keys are answered %s", c.weather.Load().name, answer.Status)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
}

// administer makes clients, asking for each until it is said to be there, and disables every other.
func (c *crowd) administer(n *node) {
	for i := 0; !c.over.Load(); i++ {
		name := fmt.Sprintf("client %d of %s", i, n.url)
		c.mu.Lock()
		c.tried = append(c.tried, name)
		c.mu.Unlock()
		m, ok := c.make(n, name)
		if ok && m.ID != "" && i%2 == 0 {
			c.disable(n, name, m)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// make makes a client. It has no id if it was there already, because an answer was lost.
func (c *crowd) make(n *node, name string) (m made, ok bool) {
	for !c.over.Load() {
		status, text := c.send(n, http.MethodPost, "clients", strings.Replace(anyClient, "CRM", name, 1), name)
		if status == http.StatusServiceUnavailable {
			continue
		}
		if status == http.StatusCreated {
			if err := json.Unmarshal(text, &m); err != nil {
				c.t.Errorf("a new client: %s: %v", text, err)
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.done[name] = &acknowledged{}
		return m, true
	}
	return made{}, false
}

// disable disables a client, and sees that it is.
func (c *crowd) disable(n *node, name string, m made) {
	for !c.over.Load() {
		if status, _ := c.send(n, http.MethodPatch, "clients/"+m.ID, `{"disabled": true}`, ""); status != http.StatusOK {
			continue
		}
		for _, n := range c.nodes {
			if got, err := n.ask(context.Background(), m.ID, m.Secret, ""); err != nil || got.status == http.StatusOK {
				c.t.Errorf("%s: a client that was disabled is answered %d, %v", c.weather.Load().name, got.status, err)
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.done[name].disabled = true
		return
	}
}

// send sends a request to the admin API, which does it, or had done it, or says to come again.
func (c *crowd) send(n *node, method, path, body, key string) (status int, text []byte) {
	weather, began := c.weather.Load(), time.Now()
	answer, text, err := n.sendOnce(method, path, body, key)
	if err != nil {
		c.t.Errorf("%s: %s %s: %v", weather.name, method, path, err)
		return http.StatusServiceUnavailable, nil
	}
	switch answer.StatusCode {
	case http.StatusCreated, http.StatusOK, http.StatusConflict:
	case http.StatusServiceUnavailable:
		if answer.Header.Get("Retry-After") != "" {
			break
		}
		fallthrough
	default:
		c.t.Errorf("%s: %s %s is answered %s %s", weather.name, method, path, answer.Status, text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if weather == c.weather.Load() {
		c.spells[n].slowAdmin = max(c.spells[n].slowAdmin, time.Since(began))
	}
	return answer.StatusCode, text
}

// sendOnce calls the admin API with an Idempotency-Key, or "" for none.
func (n *node) sendOnce(method, path, body, key string) (answer *http.Response, text []byte, err error) {
	r, err := http.NewRequest(method, n.url+"/admin/v1/"+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+n.admin)
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	if answer, err = n.http.Do(r); err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	return answer, text, err
}

// endure lets the crowd go through a trouble for so long, and see the end of it.
func (c *crowd) endure(tr trouble, long time.Duration, near, far *pgproxy.Proxy) {
	c.t.Helper()
	c.limit()
	goroutines, files := c.vitals()
	c.turn(trouble{name: "before: " + tr.name})
	tr.begin(near, far)
	c.turn(tr)
	time.Sleep(long)
	c.wait(tr.name, func(s *spell) bool { return tr.gone && s.refused >= 5 || s.granted >= 5 })
	c.judge(tr)
	moreGoroutines, moreFiles := c.vitals()
	if moreGoroutines > goroutines+100*len(c.nodes) || moreFiles > files+100*len(c.nodes) {
		c.t.Errorf("%s: %d goroutines became %d, and %d open files %d", tr.name, goroutines, moreGoroutines, files, moreFiles)
	}
	c.turn(trouble{name: "after: " + tr.name})
	near.Mend()
	c.turn(trouble{name: "after: " + tr.name})
	took := c.wait(tr.name, func(s *spell) bool { return s.granted > 0 })
	c.t.Logf("%s: goroutines %+d, files %+d; tokens are given again after %s", tr.name, moreGoroutines-goroutines, moreFiles-files, took)
}

// wait waits until something is true of every server.
func (c *crowd) wait(name string, enough func(*spell) bool) time.Duration {
	c.t.Helper()
	began := time.Now()
	for ; time.Since(began) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		all := true
		for _, s := range c.spells {
			all = all && enough(s)
		}
		c.mu.Unlock()
		if all {
			return time.Since(began)
		}
	}
	c.t.Fatalf("%s: the servers do not answer as they should for 30 s", name)
	return 0
}

// judge says what the servers answered in a trouble.
func (c *crowd) judge(tr trouble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		s := c.spells[n]
		c.t.Logf("%s: %d granted, %d told to come again, the slowest after %s, of the admin API after %s", tr.name, s.granted, s.refused, s.slowest, s.slowAdmin)
		if s.slowest > 10*time.Second {
			c.t.Errorf("%s: a token request was answered after %s", tr.name, s.slowest)
		}
	}
}

// vitals are how many goroutines and open files the servers have together.
func (c *crowd) vitals() (goroutines, files int) {
	c.t.Helper()
	for _, n := range c.nodes {
		answer, err := n.http.Get(n.metrics)
		must(c.t, err)
		text, err := io.ReadAll(answer.Body)
		must(c.t, err)
		_ = answer.Body.Close()
		goroutines += metric(string(text), "go_goroutines")
		files += metric(string(text), "process_open_fds")
	}
	return goroutines, files
}

func metric(text, name string) int {
	_, after, _ := strings.Cut(text, "\n"+name+" ")
	value, _, _ := strings.Cut(after, "\n")
	n, _ := strconv.Atoi(value)
	return n
}

// checkUsage compares what the crowd was answered with what the servers counted and what the limits
// allow.
func (c *crowd) checkUsage(db *database.DB) {
	for id, answers := range c.counted {
		found := usageOf(c.t, db, id)
		if !maps.Equal(found, answers) {
			c.t.Errorf("a client was answered %v, and that is counted as %v", answers, found)
		}
		limited := id != c.patient.ID && id != c.mistaken.ID
		if limited && answers["granted"] > dayLimit && c.day.UTC().YearDay() == time.Now().UTC().YearDay() {
			c.t.Errorf("a client that may have %d tokens a day got %d", dayLimit, answers["granted"])
		}
	}
}

func usageOf(t *testing.T, db *database.DB, id string) map[string]int {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT outcome, sum(requests) FROM usage_hours WHERE client_id = $1 GROUP BY outcome`, id)
	must(t, err)
	defer rows.Close()
	found := map[string]int{}
	for rows.Next() {
		var outcome string
		var requests int
		must(t, rows.Scan(&outcome, &requests))
		found[outcome] = requests
	}
	must(t, rows.Err())
	return found
}

// checkClients compares what the admin API said with what is there.
func (c *crowd) checkClients(db *database.DB) {
	found := map[string][]*clients.Client{}
	for _, client := range everyClient(c.t, db) {
		found[client.Name] = append(found[client.Name], client)
	}
	for _, name := range c.tried {
		there, said := found[name], c.done[name]
		switch {
		case len(there) > 1:
			c.t.Errorf("%s is there %d times", name, len(there))
		case said != nil && len(there) == 0:
			c.t.Errorf("%s was acknowledged and is lost", name)
		case said != nil && said.disabled && !there[0].Disabled:
			c.t.Errorf("%s was disabled and is not", name)
		}
	}
	c.t.Logf("%d clients were asked for, and %d acknowledged", len(c.tried), len(c.done))
}
