package sections

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMain draws more cases than rapid does by default: each takes microseconds.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		panic(err)
	}
	m.Run()
}

// A world is what exists, written down anew from the contract's words for the oracle below.
type world struct {
	sections     map[string]bool
	keyspaces    map[string][]string // actions
	capabilities map[string]string   // the one action
	on           map[string]bool     // capabilities that are switched on
}

func (w world) catalog() *Catalog {
	var s []Section
	var k []Keyspace
	var c []Capability
	for id := range w.sections {
		s = append(s, Section{ID: id})
	}
	for id, actions := range w.keyspaces {
		k = append(k, Keyspace{ID: id, Actions: actions})
	}
	for id, action := range w.capabilities {
		c = append(c, Capability{ID: id, Actions: []string{action}, Enabled: w.on[id]})
	}
	return NewCatalog(s, k, c)
}

// covered is the contract's §2, sentence by sentence: does a client that holds these values get
// this value, for this kind of audience? It knows values as text and nothing of this package.
func (w world) covered(held []string, value string, own bool) bool {
	target, action, ok := strings.Cut(value, ":")
	if !ok || strings.Contains(action, ":") {
		return false
	}
	has := func(v string) bool { return slices.Contains(held, v) }
	switch {
	case target == "wardkey": // "wardkey: values are given only in tokens whose audience is <issuer>/admin"
		return own && has(value)
	case own: // "and such tokens hold nothing else"
		return false
	case target == "section": // "section:* covers every section:<id>"; "what does not exist" refuses
		return has(value) || w.sections[action] && has("section:*")
	case target == "*":
		return has(value)
	case w.capabilities[target] != "": // "switched off is not held"; "*:<action> … never on a capability"
		return has(value) && w.on[target]
	}
	// "*:read covers every <keyspace>:read"
	return has(value) || slices.Contains(w.keyspaces[target], action) && has("*:"+action)
}

// opens is the same from the other end, as a resource server sees it: does a token with this
// scope allow the action through the target inside the Section?
func (w world) opens(scope []string, sectionID, target, action string) bool {
	inside := slices.Contains(scope, "section:"+sectionID) || slices.Contains(scope, "section:*")
	through := slices.Contains(scope, target+":"+action)
	if w.capabilities[target] == "" && target != "wardkey" {
		through = through || slices.Contains(scope, "*:"+action)
	}
	return inside && through
}

var (
	sectionIDs = []string{"nordic", "baltic", "x.y_z-1", "atlantis"}
	keyspaces  = []string{"email", "crm-id", "phone"}
	caps       = []string{"mail", "sms"}
	actions    = []string{"read", "write", "delete"}
)

func drawWorld(t *rapid.T) world {
	w := world{map[string]bool{}, map[string][]string{}, map[string]string{}, map[string]bool{}}
	for _, id := range sectionIDs[:3] { // atlantis never exists
		if rapid.Bool().Draw(t, id) {
			w.sections[id] = true
		}
	}
	for _, id := range keyspaces {
		if rapid.Bool().Draw(t, id) {
			w.keyspaces[id] = rapid.SliceOfNDistinct(rapid.SampledFrom(actions), 1, 3, rapid.ID).Draw(t, id+" actions")
		}
	}
	for _, id := range caps {
		if rapid.Bool().Draw(t, id) {
			w.capabilities[id], w.on[id] = "send", rapid.Bool().Draw(t, id+" on")
		}
	}
	return w
}

// drawHeld draws what Catalog.Check lets a client hold, as scope values.
func (w world) drawHeld(t *rapid.T) []string {
	var held []string
	offer := func(value string) {
		if rapid.Bool().Draw(t, "hold "+value) {
			held = append(held, value)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "all Sections") == 0 {
		held = append(held, "section:*")
	} else {
		for _, id := range sectionIDs {
			if w.sections[id] {
				offer("section:" + id)
			}
		}
	}
	for _, id := range keyspaces {
		for _, action := range w.keyspaces[id] {
			offer(id + ":" + action)
		}
	}
	for _, id := range caps {
		if w.capabilities[id] != "" {
			offer(id + ":send")
		}
	}
	for _, value := range []string{"*:read", "*:write", "*:delete", "wardkey:read", "wardkey:write", "wardkey:introspect"} {
		offer(value)
	}
	return held
}

// drawAsked draws a scope to ask for: mostly of values that somebody could hold.
func drawAsked(t *rapid.T, held []string) string {
	pool := []string{"section:*", "*:read", "*:write", "*:delete", "*:send", "mail:send", "sms:send", "wardkey:read", "wardkey:introspect"}
	for _, id := range sectionIDs {
		pool = append(pool, "section:"+id)
	}
	for _, id := range keyspaces {
		for _, action := range actions {
			pool = append(pool, id+":"+action)
		}
	}
	values := rapid.SampledFrom(pool)
	if len(held) > 0 {
		values = rapid.OneOf(values, rapid.SampledFrom(held), rapid.SampledFrom(held), rapid.SampledFrom(held))
	}
	return strings.Join(rapid.SliceOfN(values, 0, 6).Draw(t, "asked"), " ")
}

// grants draws a world, a client and a request, and hands the test what was granted of it.
func grants(t *testing.T, check func(t *rapid.T, w world, held []string, asked string, own bool, got Scope, err error)) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		held := w.drawHeld(t)
		asked := drawAsked(t, held)
		own := rapid.IntRange(0, 4).Draw(t, "own") == 0
		got, err := Grant(w.catalog(), hold(strings.Join(held, " ")), asked, own)
		check(t, w, held, asked, own, got, err)
	})
}

// Grant answers exactly what the contract says: each value that it gives is covered by what is
// held, and it refuses only where it must.
func TestGrantIsWhatTheContractSays(t *testing.T) {
	grants(t, func(t *rapid.T, w world, held []string, asked string, own bool, got Scope, err error) {
		var want []string
		refuse := false
		for value := range strings.FieldsSeq(asked) {
			refuse = refuse || !w.covered(held, value, own)
			if !slices.Contains(want, value) {
				want = append(want, value)
			}
		}
		named := slices.Clone(want)
		isSection := func(v string) bool { return strings.HasPrefix(v, "section:") }
		namesSection := slices.ContainsFunc(named, isSection)
		namesPermission := slices.ContainsFunc(named, func(v string) bool { return !isSection(v) })
		for _, value := range held {
			// "Naming no section: value means all its Sections; naming no permission means all its permissions."
			kindIsNamed := isSection(value) && namesSection || !isSection(value) && namesPermission
			if !kindIsNamed && w.covered(held, value, own) {
				want = append(want, value)
			}
		}
		if refuse || len(want) == 0 {
			if _, ok := errors.AsType[*Refusal](err); !ok || len(got) > 0 {
				t.Fatalf("Grant = %q, %v; want it refused", got, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("Grant = %v; want %q", err, want)
		}
		if !slices.Equal(got[:len(named)], Scope(named)) {
			t.Errorf("Grant = %q; want it to begin as asked, %q", got, named)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, Scope(want)) {
			t.Errorf("Grant = %q; want %q", got, want)
		}
	})
}

// A grant never exceeds what is held: there is nothing, existing now or made tomorrow, that the
// token opens and the client does not hold.
func TestGrantNeverExceedsWhatIsHeld(t *testing.T) {
	grants(t, func(t *rapid.T, w world, held []string, _ string, _ bool, got Scope, _ error) {
		for _, s := range append(sectionIDs, "tomorrow") {
			for _, target := range append(slices.Concat(keyspaces, caps), "tomorrow", "wardkey") {
				for _, action := range append(actions, "send", "introspect") {
					if w.opens(got, s, target, action) && !w.opens(held, s, target, action) {
						t.Errorf("Grant = %q opens %s:%s in %s, which is not held", got, target, action, s)
					}
					if w.opens(got, s, target, action) && w.capabilities[target] != "" && !w.on[target] {
						t.Errorf("Grant = %q opens %s, which is switched off", got, target)
					}
				}
			}
		}
	})
}

// Asking for what was granted grants the same, to the same client and to one that holds no more
// than the grant: narrowing twice is narrowing once.
func TestGrantIsStable(t *testing.T) {
	grants(t, func(t *rapid.T, w world, held []string, _ string, own bool, got Scope, err error) {
		if err != nil {
			return
		}
		for _, holder := range []string{strings.Join(held, " "), got.String()} {
			again, err := Grant(w.catalog(), hold(holder), got.String(), own)
			if err != nil || !slices.Equal(again, got) {
				t.Errorf("Grant(%q of %q) = %q, %v; want the same again", got, holder, again, err)
			}
		}
		// Whatever a client that holds the grant may ask for, the client itself may ask for.
		less := drawAsked(t, got)
		narrow, err := Grant(w.catalog(), hold(got.String()), less, own)
		if err != nil {
			return
		}
		once, err := Grant(w.catalog(), hold(strings.Join(held, " ")), narrow.String(), own)
		if err != nil || !slices.Equal(once, narrow) {
			t.Errorf("narrowed by %q and %q it is %q; at once %q, %v", got, less, narrow, once, err)
		}
	})
}
