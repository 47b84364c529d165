package alerts

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
)

// An alert is told once, however many servers tell it, and with it whom it goes to.
func TestRaiseOnce(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("CRM", time.Now())
		hook, _ := w.hook("https://example.com/hook")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for _, once := range []string{"monday", "tuesday"} {
					if err := w.Raise(w.t.Context(), Alert{Kind: ErrorRate, Once: once, ClientID: c.ID, Text: "x", At: time.Now()}); err != nil {
						w.t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got, want := w.told(), []string{"error_rate CRM", "error_rate CRM"}; !slices.Equal(got, want) {
			w.t.Errorf("told %q; want %q", got, want)
		}
		if got, want := w.deliveries(), []string{hook.ID + " waiting 0", hook.ID + " waiting 0"}; !slices.Equal(got, want) {
			w.t.Errorf("to be sent %q; want %q", got, want)
		}
		for _, bad := range []Alert{{}, {Kind: "nothing", Once: "x"}, {Kind: ErrorRate}} {
			if err := w.Raise(w.t.Context(), bad); err == nil {
				w.t.Errorf("Raise(%+v) = nil; want an error", bad)
			}
		}
	})
}

// What an alert tells of and the alert are both there, or neither is.
func TestRaiseIsPartOfItsCause(t *testing.T) {
	each(t, func(w *world) {
		w.hook("https://example.com/hook")
		failed := errors.New("it came to nothing")
		err := w.DB.Transact(w.t.Context(), func(ctx context.Context) error {
			must(w.t, w.Raise(ctx, Alert{Kind: ErrorRate, Once: "x", Text: "x", At: time.Now()}))
			return failed
		})
		if !errors.Is(err, failed) || len(w.told()) > 0 || len(w.deliveries()) > 0 {
			w.t.Errorf("after %v, %q are told and %q sent; want nothing", err, w.told(), w.deliveries())
		}
	})
}

// Whom an alert goes to: webhooks that want it, and admins who may act and did not say no.
func TestReceivers(t *testing.T) {
	each(t, func(w *world) {
		w.Mails = true
		crm, shop := w.client("CRM", time.Now()), w.client("Shop", time.Now())
		for id, role := range map[string]string{"owner": "owner", "admin": "admin", "quiet": "admin", "viewer": "viewer"} {
			w.admin(id, role)
		}
		all, _ := w.hook("https://example.com/all")
		some, _ := w.hook("https://example.com/some", NearLimit, SecretLeaked)
		off, _ := w.hook("https://example.com/off")
		off.DisabledAt = time.Now()
		must(w.t, w.UpdateWebhook(w.t.Context(), &off))
		for _, m := range []Mute{
			{AdminID: "quiet"},
			{AdminID: "admin", Kind: NearLimit},
			{AdminID: "owner", ClientID: shop.ID},
			{Kind: ErrorRate},
			{Kind: NewNetwork, ClientID: shop.ID},
		} {
			if _, err := w.Mute(w.t.Context(), &m, time.Now()); err != nil {
				w.t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			name   string
			kind   Kind
			client *clients.Client
			want   []string
		}{
			{"of a kind that one webhook wants", NearLimit, crm, []string{all.ID, some.ID, "owner"}},
			{"of another", NewNetwork, crm, []string{all.ID, "admin", "owner"}},
			{"muted for one client", NewNetwork, shop, nil},
			{"muted for all", ErrorRate, crm, nil},
			{"of no client", SigningKeyRotated, nil, []string{all.ID, "admin", "owner"}},
			{"of a client of which one wants no mail", SecretLeaked, shop, []string{all.ID, some.ID, "admin"}},
		} {
			w.exec(`DELETE FROM alert_deliveries`)
			w.raise(tt.kind, tt.name, tt.client)
			found, err := w.Deliveries(w.t.Context(), "", Position{}, 10)
			must(w.t, err)
			var got []string
			for _, d := range found {
				got = append(got, d.WebhookID+d.AdminID)
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				w.t.Errorf("an alert %s goes to %q; want %q", tt.name, got, tt.want)
			}
		}
		if muted, err := w.List(w.t.Context(), Filter{State: Muted}, Position{}, 10); err != nil || len(muted) != 2 {
			w.t.Errorf("%d are muted, %v; want 2", len(muted), err)
		}
	})
}

func TestAcknowledge(t *testing.T) {
	each(t, func(w *world) {
		crm, shop := w.client("CRM", time.Now()), w.client("Shop", time.Now())
		w.raise(ErrorRate, "1", crm)
		w.raise(NewNetwork, "1", crm)
		w.raise(ErrorRate, "2", shop)
		count := func(f Filter) int {
			found, err := w.List(w.t.Context(), f, Position{}, 10)
			must(w.t, err)
			return len(found)
		}
		for i, tt := range []struct {
			filter Filter
			want   int
		}{
			{Filter{}, 3},
			{Filter{State: Open}, 3},
			{Filter{State: Acknowledged}, 0},
			{Filter{Kind: ErrorRate}, 2},
			{Filter{ClientID: crm.ID}, 2},
			{Filter{State: Open, Kind: ErrorRate, ClientID: crm.ID}, 1},
		} {
			if got := count(tt.filter); got != tt.want {
				w.t.Errorf("%d: List(%+v) has %d; want %d", i, tt.filter, got, tt.want)
			}
		}
		first, err := w.List(w.t.Context(), Filter{Kind: NewNetwork}, Position{}, 1)
		must(w.t, err)
		for i, want := range []bool{true, false} {
			if fresh, err := w.Acknowledge(w.t.Context(), first[0].ID, "eva", time.Now()); err != nil || fresh != want {
				w.t.Errorf("%d: Acknowledge = %t, %v; want %t", i, fresh, err, want)
			}
		}
		if a, err := w.Alert(w.t.Context(), first[0].ID); err != nil || a.AcknowledgedBy != "eva" || a.AcknowledgedAt.IsZero() {
			w.t.Errorf("the alert is %+v, %v", a, err)
		}
		if n, err := w.CountOpen(w.t.Context()); err != nil || n != 2 {
			w.t.Errorf("CountOpen = %d, %v; want 2", n, err)
		}
		if n, err := w.AcknowledgeAll(w.t.Context(), Filter{ClientID: shop.ID}, "eva", time.Now()); err != nil || n != 1 {
			w.t.Errorf("AcknowledgeAll of one client = %d, %v; want 1", n, err)
		}
		if n, err := w.AcknowledgeAll(w.t.Context(), Filter{}, "eva", time.Now()); err != nil || n != 1 {
			w.t.Errorf("AcknowledgeAll = %d, %v; want 1", n, err)
		}
		if _, err := w.Acknowledge(w.t.Context(), "nothing", "eva", time.Now()); !errors.Is(err, ErrNotFound) {
			w.t.Errorf("Acknowledge of nothing = %v; want ErrNotFound", err)
		}
		w.exec(`UPDATE alerts SET raised_at = 1 WHERE client_id = $1`, shop.ID)
		must(w.t, w.Purge(w.t.Context(), time.Now()))
		if got := count(Filter{}); got != 2 {
			w.t.Errorf("%d are left after a year; want 2", got)
		}
	})
}

func TestMute(t *testing.T) {
	each(t, func(w *world) {
		m := Mute{Kind: ErrorRate, CreatedBy: "eva"}
		same := m
		for i, want := range []bool{true, false} {
			fresh, err := w.Mute(w.t.Context(), &m, time.Now())
			if err != nil || fresh != want {
				w.t.Errorf("%d: Mute = %t, %v; want %t", i, fresh, err, want)
			}
		}
		if _, err := w.Mute(w.t.Context(), &same, time.Now()); err != nil || same.ID != m.ID {
			w.t.Errorf("a second mute has the id %q, %v; want that of the first, %q", same.ID, err, m.ID)
		}
		if all, err := w.Mutes(w.t.Context(), Position{}, 10); err != nil || len(all) != 1 || all[0] != m {
			w.t.Errorf("Mutes = %v, %v; want %v", all, err, m)
		}
		for i, want := range []error{nil, ErrNotFound} {
			if err := w.Unmute(w.t.Context(), m.ID); !errors.Is(err, want) {
				w.t.Errorf("%d: Unmute = %v; want %v", i, err, want)
			}
		}
	})
}
