package main

import (
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/tokens"
)

func TestDisuseConfig(t *testing.T) {
	for _, tt := range []struct {
		after, deleted string
		want           clients.DisuseRule
		wrong          string
	}{
		{"90d", "14d", clients.DisuseRule{SuspendedAfter: 90 * day, DeletedAfter: 14 * day}, ""},
		{"720h", "2w", clients.DisuseRule{SuspendedAfter: 30 * day, DeletedAfter: 14 * day}, ""},
		{"0", "0", clients.DisuseRule{}, ""},
		{"90d", "0", clients.DisuseRule{SuspendedAfter: 90 * day}, ""},
		{"29d", "14d", clients.DisuseRule{}, "--unused-after must be 0, or at least 30d"},
		{"90d", "13d", clients.DisuseRule{}, "--unused-deleted-after must be 0, or at least 14d"},
		{"-90d", "14d", clients.DisuseRule{}, "--unused-after must be"},
		{"soon", "14d", clients.DisuseRule{}, "--unused-after must be a time like 30d"},
	} {
		c := disuseConfig{unusedAfter: tt.after, deletedAfter: tt.deleted}
		err := c.check()
		if tt.wrong == "" && (err != nil || c.rule != tt.want) {
			t.Errorf("%s, %s: %+v, %v; want %+v", tt.after, tt.deleted, c.rule, err, tt.want)
		}
		if tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s, %s: %v; want %q", tt.after, tt.deleted, err, tt.wrong)
		}
	}
}

// Admins are told of each notice and each leak, in words without a secret.
func TestTellOfDisuse(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		s := openTestStore(t, url, t.TempDir())
		p := &parts{db: s.db, config: &config{}, master: tokens.NewMasterKey()}
		var err error
		p.alerts, err = p.newAlerts()
		must(t, err)
		made := s.populate(t, size{clients: 1}).clients[0]
		at := time.Unix(2e9, 0).UTC()
		for _, fate := range []clients.Fate{clients.Suspension, clients.Deletion} {
			for range 2 {
				must(t, p.tellOfDisuse(t.Context(), clients.Notice{ClientID: made.ID, Name: "Shop", Fate: fate, Days: 7, At: at, UnusedSince: at.AddDate(0, 0, -90)}))
			}
		}
		told, err := texts(t.Context(), s.db, `SELECT text FROM alerts WHERE kind = 'client_unused' ORDER BY text`)
		must(t, err)
		if len(told) != 2 || !strings.Contains(told[0], "since 17 February 2033. It is suspended, and will be deleted on 18 May 2033.") || !strings.Contains(told[1], "It will be suspended on 18 May 2033.") {
			t.Errorf("told: %q", told)
		}
	})
}
