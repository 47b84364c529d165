package database

import (
	"strings"
	"testing"
)

func TestRisk(t *testing.T) {
	for _, tt := range []struct {
		commit, names string
		standbys      int
		want          string
	}{
		{"on", "", 0, ""},
		{"on", "", 1, "synchronous_standby_names"},
		{"on", "standby", 1, ""},
		{"on", "standby", 0, ""},
		{"remote_apply", "standby", 1, ""},
		{"local", "standby", 1, "synchronous_commit is local"},
		{"local", "", 0, ""},
		{"off", "", 0, "synchronous_commit is off"},
		{"off", "standby", 1, "synchronous_commit is off"},
		{"", "", 0, ""}, // not PostgreSQL
	} {
		if got := risk(tt.commit, tt.names, tt.standbys); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("risk(%q, %q, %d) = %q; want %q", tt.commit, tt.names, tt.standbys, got, tt.want)
		}
	}
}
