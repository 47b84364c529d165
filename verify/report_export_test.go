package verify

import (
	"hash/maphash"
	"net/http"
	"net/http/httptest"
)

// A Sighting is a request that is counted again and again.
type Sighting struct {
	reports *reports
	request *http.Request
	token   *Token
	needed  []Scope
}

// NewSighting returns one that was counted before.
func NewSighting() *Sighting {
	s := &Sighting{
		reports: &reports{seed: maphash.MakeSeed(), closed: true},
		request: httptest.NewRequest("GET", "/sections/nordic/profiles", nil),
		token:   &Token{ClientID: "3577a0a9-5c5e-4e0c-9a53-0a2f4b6f1f5d", Scope: "section:nordic section:baltic email:read email:write crm-id:read"},
		needed:  []Scope{Section("nordic"), Keyspace("email", "read")},
	}
	s.request.Pattern = "GET /sections/{section}/profiles"
	s.Count()
	return s
}

// Count counts it.
func (s *Sighting) Count() { s.reports.allowed(s.request, s.token, s.needed) }
