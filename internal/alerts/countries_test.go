package alerts

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
)

// abroad has the second byte of an address say in which country it is.
func abroad(network netip.Prefix) (code, name string) {
	switch network.Addr().AsSlice()[1] {
	case 1:
		return "SE", "Sweden"
	case 2:
		return "DE", "Germany"
	case 3:
		return "FI", ""
	}
	return "", ""
}

// A country in which a client never was is told in place of the network there, once. What it begins
// with is not told, and an address of no known country tells what it did without a database.
func TestCountries(t *testing.T) {
	for _, tt := range []struct {
		name         string
		known, later []string // networks where it was a week before, and where it is now
		without      bool     // a database
		known0       bool     // what was known was learnt without one
		want         []string
	}{
		{"another network", []string{"10.1.0.0/24"}, []string{"10.1.1.0/24"}, false, false, []string{"new_network It got tokens from the network 10.1.1.0/24 in Sweden (SE), from which"}},
		{"another country", []string{"10.1.0.0/24"}, []string{"10.2.0.0/24"}, false, false, []string{"new_country It got tokens from Germany (DE), from where it never did before: from the network 10.2.0.0/24. "}},
		{"without a name", []string{"10.1.0.0/24"}, []string{"10.3.0.0/24"}, false, false, []string{"new_country It got tokens from FI, from where"}},
		{"IPv6", []string{"10.1.0.0/24"}, []string{"2002:db8::/48"}, false, false, []string{"new_country It got tokens from Germany (DE), "}},
		{"two networks of another country", []string{"10.1.0.0/24"}, []string{"10.2.0.0/24", "10.2.1.0/24"}, false, false, []string{"new_country It got", "new_network It got tokens from the network 10.2.1.0/24 in Germany"}},
		{"two others", []string{"10.1.0.0/24"}, []string{"10.2.0.0/24", "10.3.0.0/24"}, false, false, []string{"new_country It got tokens from FI", "new_country It got tokens from Germany"}},
		{"where nobody knows", []string{"10.1.0.0/24"}, []string{"10.9.0.0/24"}, false, false, []string{"new_network It got tokens from the network 10.9.0.0/24, from which"}},
		{"the first that anybody knows", []string{"10.9.0.0/24"}, []string{"10.1.0.0/24"}, false, false, []string{"new_network It got tokens from the network 10.1.0.0/24 in Sweden (SE), from which"}},
		{"as before", []string{"10.1.0.0/24", "10.2.0.0/24"}, []string{"10.1.0.0/24", "10.2.0.0/24"}, false, false, nil},
		{"another country, from what was learnt before there was a database", []string{"10.1.0.0/24"}, []string{"10.2.0.0/24"}, false, true, []string{"new_country It got"}},
		{"without a database", []string{"10.1.0.0/24"}, []string{"10.2.0.0/24"}, true, true, []string{"new_network It got tokens from the network 10.2.0.0/24, from which"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(w *world) {
				c, watch := w.client("CRM", at), w.watch()
				seen := func(networks []string, now time.Time) {
					for _, network := range networks {
						w.count(c, hourOf(now), "granted", network, 5)
					}
					w.look(watch.Networks, now)
				}
				if !tt.known0 {
					watch.Country = abroad
				}
				seen(tt.known, at)
				w.wants("at first")
				if !tt.without {
					watch.Country = abroad
				}
				seen(tt.later, at.Add(settled))
				w.look(watch.Networks, at.Add(settled+time.Hour))
				w.says(tt.want...)
			})
		})
	}
}

// says holds how what was told begins, in the order of the alphabet.
func (w *world) says(want ...string) {
	w.t.Helper()
	found, err := w.List(w.t.Context(), Filter{}, Position{}, 100)
	must(w.t, err)
	var got []string
	for _, a := range found {
		got = append(got, string(a.Kind)+" "+a.Text)
	}
	slices.Sort(got)
	if len(got) != len(want) {
		w.t.Fatalf("told are %q; want %q", got, want)
	}
	for i := range want {
		if len(got[i]) < len(want[i]) || got[i][:len(want[i])] != want[i] {
			w.t.Errorf("told is %q; want %q", got[i], want[i])
		}
	}
}

// A client that is at home in too many networks to remember another is told of in a new country, and
// there again of nothing.
func TestCountriesOfManyNetworks(t *testing.T) {
	each(t, func(w *world) {
		many, few := w.client("Many", at), w.client("Few", at)
		for _, c := range []*clients.Client{many, few} {
			for i := range everywhere {
				if c == many || i < everywhere-2 {
					w.exec(`INSERT INTO known_networks (owner, network, known_at) VALUES ($1, $2, 1)`, c.ID, fmt.Sprintf("10.1.%d.0/24", i))
				}
			}
		}
		codes := w.client("Codes", at) // of which countries are known that are no networks
		for i := range everywhere - 1 {
			w.exec(`INSERT INTO known_networks (owner, network, known_at) VALUES ($1, $2, 1)`, codes.ID, fmt.Sprintf("10.1.%d.0/24", i))
		}
		w.exec(`INSERT INTO known_networks (owner, network, known_at) VALUES ($1, 'SE', 1), ($1, 'DE', 1)`, codes.ID)
		w.count(codes, hourOf(at), "granted", "10.2.0.0/24", 1)
		watch := w.watch()
		watch.page = 2
		seen := func(network string) {
			for _, c := range []*clients.Client{many, few} {
				w.count(c, hourOf(at), "granted", network, 1)
			}
			w.look(watch.Networks, at)
		}
		seen("10.2.0.0/24")
		w.wants("without a database", "new_network Few", "new_network Codes")
		w.exec(`DELETE FROM alerts WHERE client_name = 'Codes'`)
		watch.Country = abroad
		w.look(watch.Networks, at)
		w.wants("with one", "new_network Few", "new_country Many")
		for i := range 5 {
			seen(fmt.Sprintf("10.2.%d.0/24", i+1))
			seen(fmt.Sprintf("10.1.%d.0/24", i+100))
		}
		w.wants("in another network of a country that is known", "new_network Few", "new_country Many", "new_network Few")
		seen("10.3.0.0/24")
		w.wants("in a third country", "new_network Few", "new_country Many", "new_network Few", "new_country Few", "new_country Many")
	})
}

// Who is told that an admin signed in from a new place is told in which country that is.
func TestCountriesOfAdmins(t *testing.T) {
	each(t, func(w *world) {
		w.admin("eva", "owner")
		watch := w.watch()
		watch.Country = abroad
		for i, address := range []string{"10.1.0.1", "10.2.0.1", "2002:db8:0:1::/64", "10.9.0.1", "somewhere"} {
			w.exec(`INSERT INTO sign_in_addresses (admin_id, address, last_at) VALUES ('eva', $1, $2)`, address, at.Unix())
			w.look(watch.Places, at.Add(time.Duration(i)*time.Minute))
		}
		w.says(
			"admin_new_place eva@example.com signed in from 10.2.0.1 in Germany (DE), from where they did not",
			"admin_new_place eva@example.com signed in from 10.9.0.1, from where",
			"admin_new_place eva@example.com signed in from 2002:db8:0:1::/64 in Germany (DE), from where",
			"admin_new_place eva@example.com signed in from somewhere, from where",
		)
	})
}
