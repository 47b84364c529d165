package recipes

import (
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/attacks"
)

const (
	audience  = "https://api.example"
	allowed   = "section:nordic email:read"
	elsewhere = "section:baltic email:read"
)

// A column is what came of one recipe: a cell for each line of the matrix.
type column map[string]string

// TestRecipes starts every example and sends it everything, and wants the matrix of the README to
// come of it.
func TestRecipes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	columns := map[string]column{}
	each(t, func(t *testing.T, r recipe) {
		c := attack(t, r)
		mu.Lock()
		defer mu.Unlock()
		columns[r.name] = c
	})
	compare(t, columns)
}

// each tests all recipes at once. They wait for others more than they compute, so that the limit of
// Parallel would only have them take turns in waiting.
func each(t *testing.T, test func(*testing.T, recipe)) {
	t.Helper()
	var all sync.WaitGroup
	for _, r := range recipes {
		all.Go(func() {
			t.Run(r.name, func(t *testing.T) {
				r.needed(t)
				test(t, r)
			})
		})
	}
	all.Wait()
}

// A trial is one example that runs, and the issuer that it trusts.
type trial struct {
	recipe
	place
	issuer *attacks.Issuer
	forge  *attacks.Forge
	away   atomic.Bool // the issuer
	older  string      // a token of the key before the one that signs, which is still published
	cells  column
}

func newTrial(t *testing.T, r recipe) *trial {
	t.Helper()
	tr := &trial{recipe: r, cells: column{}}
	var trusted string
	if r.https {
		trusted = filepath.Join(directory(t), "issuer.pem")
	}
	serve(t, trusted, func(address string) http.Handler {
		var err error
		if tr.issuer, err = attacks.NewIssuer(address, audience); err != nil {
			t.Fatal(err)
		}
		return tr.unlessAway(tr.issuer.Handler())
	})
	tr.issuer.MaxAge, tr.issuer.StatusTTL, tr.issuer.SCP = time.Second, time.Second, true
	tr.forge = tr.issuer.Forge(attacks.ES256, allowed)
	tr.forge.Elsewhere = elsewhere
	tr.older = tr.token(allowed, nil)
	if _, err := tr.issuer.Rotate(attacks.ES256); err != nil {
		t.Fatal(err)
	}
	tr.place = r.start(t, place{issuer: tr.issuer.URL, trusted: trusted, audience: audience, api: backend(t)})
	return tr
}

// unlessAway breaks connections off while the issuer is away. Its port stays its own: others could
// get it, and be asked for keys.
func (tr *trial) unlessAway(issuer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tr.away.Load() {
			panic(http.ErrAbortHandler)
		}
		issuer.ServeHTTP(w, r)
	})
}

// attack sends everything to one example.
func attack(t *testing.T, r recipe) column {
	t.Helper()
	tr := newTrial(t, r)
	tr.present(t, "wildcards", tr.token("section:* *:read", nil), attacks.Accept)
	tr.present(t, "key-before", tr.older, attacks.Accept)
	tr.revoke(t)
	for _, a := range attacks.All() {
		if a.Name != "key-rotated" && a.Name != "key-withdrawn" { // rotate does both at once
			tr.send(t, a)
		}
	}
	tr.rotate(t)
	tr.leave(t)
	if tr.issuer.Requests("/bait/") > 0 {
		t.Errorf("%s followed an address in a token", r.name)
	}
	return tr.cells
}

// token is a good one.
func (tr *trial) token(scope string, claims map[string]any) string {
	all := map[string]any{"scp": strings.Fields(scope)}
	maps.Copy(all, claims)
	return tr.issuer.Token(attacks.ES256, scope, nil, all)
}

// send sends an attack and writes down what came of it.
func (tr *trial) send(t *testing.T, a attacks.Attack) {
	t.Helper()
	before := tr.issuer.Requests(attacks.JWKSPath)
	var got answer
	for range max(1, a.Times) {
		request, err := a.Request(tr.forge)
		if err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		got = tr.ask(t, request)
	}
	tr.cells[a.Name] = got.cell(a.Want, a.Code)
	// Keys that are kept for a second may be fetched anew meanwhile.
	if asked := tr.issuer.Requests(attacks.JWKSPath) - before; a.Times > 1 && asked > a.Times/2 {
		tr.cells[a.Name] += " and asks each time"
	}
	grave := a.Gravity == attacks.Critical || a.Gravity == attacks.Serious
	if grave && a.Want != attacks.Accept && !attacks.Refused(got.status) && got.status != 0 {
		t.Errorf("%s answers %s with %d", tr.name, a.Sends, got.status)
	}
}

// present shows a token.
func (tr *trial) present(t *testing.T, name, token string, want attacks.Want) {
	t.Helper()
	tr.cells[name] = tr.ask(t, bearer(token)).cell(want, "")
}

// position is that of the token that is revoked, in the list that all others are in too.
const position = 3

// revoke has a token revoked that was accepted, and waits until the example has heard of it, if it
// listens.
func (tr *trial) revoke(t *testing.T) {
	t.Helper()
	token := tr.token(allowed, map[string]any{"status": map[string]any{
		"status_list": map[string]any{"idx": position, "uri": tr.issuer.URL + "/oauth/status/0"},
	}})
	if got := tr.ask(t, bearer(token)); !attacks.Accepted(got.status) {
		t.Errorf("%s answers a good token with %d", tr.name, got.status)
	}
	tr.issuer.Revoke(position)
	tr.await(t, func() bool { return !tr.polls || !attacks.Accepted(tr.ask(t, bearer(token)).status) })
	tr.present(t, "revoked-later", token, attacks.Refuse)
}

// rotate withdraws the key that signs, has another one sign, and waits until the example has heard
// of both.
func (tr *trial) rotate(t *testing.T) {
	t.Helper()
	kid, old := tr.issuer.KeyID(attacks.ES256), tr.token(allowed, nil)
	if _, err := tr.issuer.Rotate(attacks.ES256); err != nil {
		t.Fatal(err)
	}
	tr.issuer.Withdraw(kid)
	young := tr.token(allowed, nil)
	tr.await(t, func() bool {
		if tr.timer != nil {
			tr.timer(t, tr.place)
		}
		return attacks.Accepted(tr.ask(t, bearer(young)).status) && !attacks.Accepted(tr.ask(t, bearer(old)).status)
	})
	tr.present(t, "key-rotated", young, attacks.Accept)
	tr.present(t, "key-withdrawn", old, attacks.Refuse)
}

// leave takes the issuer away, for longer than keys are kept.
func (tr *trial) leave(t *testing.T) {
	t.Helper()
	tr.away.Store(true)
	time.Sleep(2 * time.Second) // in which nothing can be seen to happen
	tr.present(t, "issuer-away", tr.token(allowed, nil), attacks.Accept)
}

// await waits until the example has heard of something, or should have.
func (tr *trial) await(t *testing.T, heard func() bool) {
	t.Helper()
	for end := time.Now().Add(tr.heard); !heard() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
}

func bearer(token string) attacks.Request {
	return attacks.Request{Authorization: []string{"Bearer " + token}}
}

// An answer is what an example says to a request.
type answer struct {
	status    int // 0: it closed the connection
	challenge string
}

func (tr *trial) ask(t *testing.T, request attacks.Request) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tr.address(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Apply(r)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}
	}
	defer res.Body.Close()
	return answer{res.StatusCode, strings.Join(res.Header.Values("WWW-Authenticate"), ", ")}
}

// cell is what stands in the matrix: in bold if the wrong door opens or the right one stays shut,
// and with a star if a refusal does not say why.
func (a answer) cell(want attacks.Want, code string) string {
	text := strconv.Itoa(a.status)
	switch a.status {
	case 0, http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge:
		text = "400" // which of these a too long header gets is a matter of time
	}
	if code != "" && !strings.Contains(a.challenge, `error="`+code+`"`) {
		text += "*"
	}
	if (want == attacks.Accept) != attacks.Accepted(a.status) {
		text = "**" + text + "**"
	}
	return text
}
