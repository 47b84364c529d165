package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// A model is what an account should be after the acts of an admin, as simply as it can be said.
type model struct {
	prefix       string // of every id and name, since all models share one server
	next         int
	sections     map[string]bool
	keyspaces    map[string][]string
	capabilities map[string]bool // enabled or not; each has the action send
	clients      map[string]*modelClient
}

type modelClient struct {
	name        string
	sections    []string // sorted; "*" alone for all
	permissions map[string][]string
	disabled    bool
	secrets     []*modelSecret // oldest first
	deleted     bool
}

type modelSecret struct {
	id, text string
	dead     bool
	ends     bool // it has an end, which is not reached
}

func (c *modelClient) live() []*modelSecret {
	return slices.DeleteFunc(slices.Clone(c.secrets), func(s *modelSecret) bool { return s.dead })
}

// scope is what a token request that asks for nothing gets.
func (m *model) scope(c *modelClient) []string {
	var values []string
	for _, id := range c.sections {
		values = append(values, "section:"+id)
	}
	for target, actions := range c.permissions {
		if enabled, isCapability := m.capabilities[target]; isCapability && !enabled {
			continue
		}
		for _, action := range actions {
			values = append(values, target+":"+action)
		}
	}
	slices.Sort(values)
	return values
}

// narrow takes away what keep does not keep of a target.
func (m *model) narrow(target string, keep ...string) {
	for _, c := range m.clients {
		left := slices.DeleteFunc(slices.Clone(c.permissions[target]), func(a string) bool { return !slices.Contains(keep, a) })
		if c.permissions[target] = left; len(left) == 0 {
			delete(c.permissions, target)
		}
	}
}

// A modelWorld is a model with the server that should be like it.
type modelWorld struct {
	*model
	t     *rapid.T
	parts *parts
	url   string
	admin string // a token
}

// do calls the admin API.
func (w *modelWorld) do(method, path string, body any, want int) map[string]any {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+"/admin/v1/"+path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.admin)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want {
		w.t.Fatalf("%s %s %s = %d %s, %v; want %d", method, path, text, answer.StatusCode, got, err, want)
	}
	var shown map[string]any
	if len(got) > 0 {
		if err := json.Unmarshal(got, &shown); err != nil {
			w.t.Fatal(err)
		}
	}
	return shown
}

func (w *modelWorld) fresh(kind string) string {
	w.next++
	return fmt.Sprintf("%s-%s-%d", w.prefix, kind, w.next)
}

// pick draws one of the things that there are; ok is false if there is none.
func pick[T any](t *rapid.T, label string, from map[string]T) (key string, ok bool) {
	if len(from) == 0 {
		return "", false
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(from))).Draw(t, label), true
}

// some draws a part of a list, in order.
func some(t *rapid.T, label string, from []string, atLeast int) []string {
	if len(from) < atLeast {
		return nil
	}
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{""}, from...)), atLeast, min(len(from), 3), rapid.ID[string]).Draw(t, label)
	chosen = slices.DeleteFunc(chosen, func(s string) bool { return s == "" })
	slices.Sort(chosen)
	return chosen
}

// held draws what a client may hold: permissions, and the Sections that these need.
func (w *modelWorld) held() (ids []string, permissions map[string][]string) {
	permissions = map[string][]string{}
	for _, id := range some(w.t, "keyspaces", slices.Sorted(maps.Keys(w.keyspaces)), 0) {
		permissions[id] = slices.Clone(w.keyspaces[id])
	}
	if rapid.Bool().Draw(w.t, "all keyspaces") {
		permissions["*"] = []string{"read"}
	}
	for _, id := range slices.Sorted(maps.Keys(w.capabilities)) {
		if w.capabilities[id] && rapid.Bool().Draw(w.t, "capability") {
			permissions[id] = []string{"send"}
		}
	}
	if ids = some(w.t, "sections", slices.Sorted(maps.Keys(w.sections)), 0); len(ids) == 0 {
		ids = []string{"*"}
	}
	return ids, permissions
}

// The acts of an admin, each done to the server and to the model.
var acts = map[string]func(w *modelWorld){
	"create a Section": func(w *modelWorld) {
		id := w.fresh("section")
		w.do("POST", "sections", map[string]any{"id": id, "name": id}, 201)
		w.sections[id] = true
	},
	"create a keyspace": func(w *modelWorld) {
		id := w.fresh("keyspace")
		actions := rapid.SampledFrom([][]string{{"read", "write"}, {"read"}, {"delete", "lock", "read"}}).Draw(w.t, "actions")
		w.do("POST", "keyspaces", map[string]any{"id": id, "name": id, "actions": actions}, 201)
		w.keyspaces[id] = actions
	},
	"create a capability": func(w *modelWorld) {
		id := w.fresh("capability")
		w.do("POST", "capabilities", map[string]any{"id": id, "name": id, "actions": []string{"send"}, "enabled": true}, 201)
		w.capabilities[id] = true
	},
	"create a client": func(w *modelWorld) {
		ids, permissions := w.held()
		name := w.fresh("client")
		made := w.do("POST", "clients", map[string]any{"name": name, "sections": ids, "permissions": permissions}, 201)
		secret := made["secrets"].([]any)[0].(map[string]any)["id"].(string)
		w.clients[made["id"].(string)] = &modelClient{
			name: name, sections: ids, permissions: permissions,
			secrets: []*modelSecret{{id: secret, text: made["client_secret"].(string)}},
		}
	},
	"create a client that may not be": func(w *modelWorld) {
		w.do("POST", "clients", map[string]any{"name": w.prefix, "sections": []string{"no-such-section"}, "permissions": map[string]any{}}, 422)
	},
	"rename a client": func(w *modelWorld) {
		if id, ok := w.anyClient(); ok {
			w.clients[id].name = w.fresh("renamed")
			w.do("PATCH", "clients/"+id, map[string]any{"name": w.clients[id].name}, 200)
		}
	},
	"change what a client holds": func(w *modelWorld) {
		id, ok := w.anyClient()
		if !ok {
			return
		}
		c := w.clients[id]
		ids, permissions := w.held()
		patch := map[string]any{}
		for target := range c.permissions {
			patch[target] = nil
		}
		for target, actions := range permissions {
			patch[target] = actions
		}
		w.do("PATCH", "clients/"+id, map[string]any{"sections": ids, "permissions": patch}, 200)
		c.sections, c.permissions = ids, permissions
	},
	"disable or enable a client": func(w *modelWorld) {
		if id, ok := w.anyClient(); ok {
			c := w.clients[id]
			c.disabled = !c.disabled
			w.do("PATCH", "clients/"+id, map[string]any{"disabled": c.disabled}, 200)
		}
	},
	"delete a client": func(w *modelWorld) {
		if id, ok := w.anyClient(); ok {
			w.do("DELETE", "clients/"+id, nil, 204)
			w.clients[id].deleted = true
		}
	},
	"delete clients by their name": func(w *modelWorld) {
		if id, ok := w.anyClient(); ok {
			name := w.clients[id].name
			preview := w.do("DELETE", "clients?dry_run=true&q="+name, nil, 200)
			w.do("DELETE", "clients?q="+name+"&confirm="+preview["confirm"].(string), nil, 204)
			for _, c := range w.clients { // "x-client-1" is in "x-client-12" as well
				c.deleted = c.deleted || strings.Contains(c.name, name)
			}
		}
	},
	"revoke the tokens of a client": func(w *modelWorld) {
		if id, ok := w.anyClient(); ok {
			w.do("POST", "clients/"+id+"/revoke-tokens", nil, 204)
		}
	},
	"add a secret": func(w *modelWorld) {
		id, ok := w.anyClient()
		if !ok {
			return
		}
		c := w.clients[id]
		live := c.live()
		if len(live) == 2 {
			w.do("POST", "clients/"+id+"/secrets", map[string]any{}, 409)
			return
		}
		overlap := rapid.SampledFrom([]int{-1, 0, 3600}).Draw(w.t, "overlap")
		body := map[string]any{}
		if overlap >= 0 {
			body["overlap"] = overlap
			for _, older := range live {
				older.dead, older.ends = overlap == 0, overlap > 0
			}
		}
		made := w.do("POST", "clients/"+id+"/secrets", body, 201)
		c.secrets = append(c.secrets, &modelSecret{id: made["id"].(string), text: made["client_secret"].(string)})
	},
	"revoke a secret": func(w *modelWorld) {
		id, ok := w.anyClient()
		if !ok {
			return
		}
		if live := w.clients[id].live(); len(live) > 0 {
			s := rapid.SampledFrom(live).Draw(w.t, "secret")
			w.do("DELETE", "clients/"+id+"/secrets/"+s.id, nil, 204)
			s.dead = true
		}
	},
	"cancel a rotation": func(w *modelWorld) {
		id, ok := w.anyClient()
		if !ok {
			return
		}
		live := w.clients[id].live()
		if len(live) != 2 {
			w.do("POST", "clients/"+id+"/cancel-rotation", nil, 409)
			return
		}
		w.do("POST", "clients/"+id+"/cancel-rotation", nil, 200)
		live[0].ends, live[1].dead = false, true
	},
	"delete a Section": func(w *modelWorld) {
		id, ok := pick(w.t, "section", w.sections)
		if !ok {
			return
		}
		w.do("DELETE", "sections/"+id, nil, 204)
		delete(w.sections, id)
		for _, c := range w.clients {
			if slices.Contains(c.sections, id) {
				c.sections = slices.DeleteFunc(slices.Clone(c.sections), func(s string) bool { return s == id })
				c.deleted = c.deleted || len(c.sections) == 0
			}
		}
	},
	"change the actions of a keyspace": func(w *modelWorld) {
		if id, ok := pick(w.t, "keyspace", w.keyspaces); ok {
			w.keyspaces[id] = []string{"read", "write"}
			w.do("PATCH", "keyspaces/"+id, map[string]any{"actions": w.keyspaces[id]}, 200)
			w.narrow(id, "read", "write")
		}
	},
	"delete a keyspace": func(w *modelWorld) {
		if id, ok := pick(w.t, "keyspace", w.keyspaces); ok {
			w.do("DELETE", "keyspaces/"+id, nil, 204)
			delete(w.keyspaces, id)
			w.narrow(id)
		}
	},
	"switch a capability": func(w *modelWorld) {
		if id, ok := pick(w.t, "capability", w.capabilities); ok {
			w.capabilities[id] = !w.capabilities[id]
			w.do("PATCH", "capabilities/"+id, map[string]any{"enabled": w.capabilities[id]}, 200)
		}
	},
	"delete a capability": func(w *modelWorld) {
		if id, ok := pick(w.t, "capability", w.capabilities); ok {
			w.do("DELETE", "capabilities/"+id, nil, 204)
			delete(w.capabilities, id)
			w.narrow(id)
		}
	},
}

func (w *modelWorld) anyClient() (id string, ok bool) {
	alive := maps.Clone(w.clients)
	maps.DeleteFunc(alive, func(_ string, c *modelClient) bool { return c.deleted })
	return pick(w.t, "client", alive)
}

// agree says where the API, the store or a token request disagree with the model about a client.
func (w *modelWorld) agree(id string) {
	c := w.clients[id]
	stored, err := clients.NewStore(w.parts.db).Client(w.t.Context(), id)
	onPath, _, pathErr := w.parts.lookup.Client(w.t.Context(), id)
	if pathErr != nil {
		w.t.Fatal(pathErr)
	}
	if c.deleted {
		w.do("GET", "clients/"+id, nil, 404)
		if gone := w.do("GET", "deleted-clients/"+id, nil, 200); gone["name"] != c.name {
			w.t.Fatalf("the tombstone of %q = %v", c.name, gone)
		}
		if err == nil || onPath != clients.Nobody {
			w.t.Fatalf("the deleted client %s is in the store: %v, %v", id, stored, onPath)
		}
	} else {
		w.agreeOn(c, w.do("GET", "clients/"+id, nil, 200), stored, onPath)
	}
	for _, s := range c.secrets {
		w.ask(id, c, s)
	}
}

func (w *modelWorld) agreeOn(c *modelClient, shown map[string]any, stored, onPath *clients.Client) {
	want := slices.Sorted(slices.Values(wanted(c)))
	for where, held := range map[string]sections.Held{"the store": stored.Held, "the token path": onPath.Held} {
		if got := slices.Sorted(slices.Values(held.Scope())); !slices.Equal(got, want) {
			w.t.Fatalf("%s says that %q holds %v, want %v", where, c.name, got, want)
		}
	}
	var api []string
	for _, id := range shown["sections"].([]any) {
		api = append(api, "section:"+id.(string))
	}
	for target, actions := range shown["permissions"].(map[string]any) {
		for _, action := range actions.([]any) {
			api = append(api, target+":"+action.(string))
		}
	}
	slices.Sort(api)
	if !slices.Equal(api, want) || shown["name"] != c.name || shown["disabled"] != c.disabled || stored.Name != c.name {
		w.t.Fatalf("the API shows %v; want %q, disabled %v, with %v", shown, c.name, c.disabled, want)
	}
	var live []string
	now := time.Now()
	for _, s := range shown["secrets"].([]any) {
		secret := s.(map[string]any)
		end, _ := secret["expires_at"].(string)
		if at, err := time.Parse(time.RFC3339, end); err == nil && !at.After(now) {
			continue
		}
		live = append(live, fmt.Sprint(secret["id"], " ends ", end != ""))
	}
	var wantLive []string
	for _, s := range c.live() {
		wantLive = append(wantLive, fmt.Sprint(s.id, " ends ", s.ends))
	}
	if !slices.Equal(live, wantLive) {
		w.t.Fatalf("the API shows the live secrets %v, want %v", live, wantLive)
	}
}

// wanted is all that a client holds, whether it gets it or not.
func wanted(c *modelClient) []string {
	return (&model{}).scope(c)
}

// ask asks for a token with a secret, and compares what is granted.
func (w *modelWorld) ask(id string, c *modelClient, s *modelSecret) {
	n := &node{url: w.url, http: http.DefaultClient}
	got, err := n.ask(w.t.Context(), id, s.text, "")
	if err != nil {
		w.t.Fatal(err)
	}
	want, status := w.scope(c), http.StatusOK
	switch {
	case c.deleted || c.disabled || s.dead:
		want, status = nil, http.StatusUnauthorized
	case len(want) == 0:
		status = http.StatusBadRequest
	}
	scope := slices.Sorted(slices.Values(strings.Fields(got.scope)))
	if got.status != status || !slices.Equal(scope, want) {
		w.t.Fatalf("a token request of %q with secret %s (dead: %v) = %d %v, want %d %v", c.name, s.id, s.dead, got.status, scope, status, want)
	}
}

// Whatever an admin does, the API, the store, the token path and what a token request grants say
// the same, which is what a simple model says; and each act is in an audit log that is whole.
func TestModel(t *testing.T) {
	must(t, flag.Set("rapid.checks", strconv.Itoa(rounds(100)))) // of each engine
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		t.Parallel()
		p, url, token := modelServer(t, db)
		round := 0
		rapid.Check(t, func(t *rapid.T) {
			round++
			w := &modelWorld{t: t, parts: p, url: url, admin: token, model: &model{
				prefix: fmt.Sprintf("m%d", round), sections: map[string]bool{}, keyspaces: map[string][]string{},
				capabilities: map[string]bool{}, clients: map[string]*modelClient{},
			}}
			acts["create a Section"](w)
			acts["create a keyspace"](w)
			acts["create a capability"](w)
			acts["create a client"](w)
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(slices.Sorted(maps.Keys(acts))), 1, 12).Draw(t, "acts") {
				acts[name](w)
				if id, ok := pick(t, "agree on", w.clients); ok {
					w.agree(id)
				}
			}
			alive := 0
			for id, c := range w.clients {
				w.agree(id)
				if !c.deleted {
					alive++
				}
			}
			if found := w.do("GET", "clients?limit=200&q="+w.prefix+"-", nil, 200)["items"].([]any); len(found) != alive {
				t.Fatalf("a search finds %d clients, want %d", len(found), alive)
			}
		})
		if _, fault, err := p.audit.Verify(t.Context()); fault != nil || err != nil {
			t.Errorf("the audit log: %v, %v", fault, err)
		}
	})
}

// modelServer is a server on db, with a token for its admin API.
func modelServer(t *testing.T, db *database.DB) (p *parts, url, token string) {
	t.Helper()
	handler := http.NotFoundHandler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	c := &config{
		issuer: server.URL, dataDir: t.TempDir(), audiences: []string{server.URL}, signingAlg: string(tokens.ES256), rsaBits: 2048,
		lifetime: 15 * time.Minute, statusTTL: 10 * time.Second, logLevel: "error",
	}
	p = &parts{config: c, db: db, master: tokens.NewMasterKey(), log: slog.New(slog.DiscardHandler), stdout: io.Discard}
	must(t, p.openKeys(t.Context()))
	first, err := p.bootstrap(t.Context())
	must(t, err)
	handler, _, err = p.handlers()
	must(t, err)
	n := &node{url: server.URL, http: http.DefaultClient}
	got, err := n.ask(t.Context(), first.ClientID, first.ClientSecret, "")
	if err != nil || got.status != http.StatusOK {
		t.Fatalf("the first client: %v, %v", got, err)
	}
	return p, server.URL, got.token
}
