package alerts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// The example of the specification of Standard Webhooks.
func TestSignature(t *testing.T) {
	text := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	got, err := signature(Secret{&text}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), `{"test": 2432232314}`)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want || err != nil {
		t.Errorf("signature = %q, %v; want %q", got, err, want)
	}
}

// verifies is what a receiver does, written from the specification.
func verifies(secret string, h http.Header, body string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	sent, failed := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || failed != nil || len(key) < 24 || time.Since(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "." + body))
	for one := range strings.FieldsSeq(h.Get("webhook-signature")) {
		version, sum, _ := strings.Cut(one, ",")
		given, err := base64.StdEncoding.DecodeString(sum)
		if version == "v1" && err == nil && hmac.Equal(given, mac.Sum(nil)) {
			return true
		}
	}
	return false
}

// What arrives is signed with the secret that was shown once, and with no other.
func TestReceiverVerifies(t *testing.T) {
	each(t, func(w *world) {
		d := w.dispatcher()
		r := newReceiver(w.t, status(200))
		_, secret := w.hook(r.URL)
		_, other := w.hook(r.URL)
		c := w.client(`CRM "<&`, time.Now())
		w.raise(SecretLeaked, "x", c)
		w.flush(d)
		got := []bool{}
		for range 2 {
			h := <-r.heard
			body := r.bodies[h.Get("webhook-id")][0]
			if !strings.HasPrefix(body, `{"type":"alert.secret_leaked","timestamp":"`) || !strings.Contains(body, `"url":"https://auth.example/admin/alerts"`) {
				w.t.Errorf("what arrives is %s", body)
			}
			first, second := verifies(secret.Reveal(), h, body), verifies(other.Reveal(), h, body)
			if first == second || verifies(secret.Reveal(), h, body+" ") || h.Get("Content-Type") != "application/json" {
				w.t.Errorf("%s with %v is signed by the first: %t, by the second: %t", body, h, first, second)
			}
			got = append(got, first)
		}
		if got[0] == got[1] {
			w.t.Error("both are signed with the same secret")
		}
		// A row that got the secret of another is not used.
		w.exec(`UPDATE webhooks SET secret = (SELECT max(secret) FROM webhooks)`)
		w.raise(SecretLeaked, "y", c)
		w.flush(d)
		if len(r.heard) > 1 {
			w.t.Error("a secret of another webhook was used")
		}
	})
}

func TestReach(t *testing.T) {
	allowed := Private(prefixes("10.1.0.0/16", "fd00:1::/32"))
	for _, tt := range []struct {
		address           string
		https, plain      bool
		httpsIf, plainIf_ bool // with allowed
	}{
		{"93.184.216.34", true, false, true, false},
		{"2606:2800:220:1::1", true, false, true, false},
		{"::ffff:93.184.216.34", true, false, true, false},
		{"10.1.2.3", false, false, true, true},
		{"::ffff:10.1.2.3", false, false, true, true},
		{"fd00:1::5", false, false, true, true},
		{"10.2.0.1", false, false, false, false},
		{"127.0.0.1", false, false, false, false},
		{"127.1.2.3", false, false, false, false},
		{"::ffff:127.0.0.1", false, false, false, false},
		{"::ffff:7f00:1", false, false, false, false},
		{"::127.0.0.1", false, false, false, false}, // IPv4-compatible
		{"::1", false, false, false, false},
		{"::", false, false, false, false},
		{"0.0.0.0", false, false, false, false},
		{"0.1.2.3", false, false, false, false},
		{"169.254.169.254", false, false, false, false},
		{"::ffff:169.254.169.254", false, false, false, false},
		{"172.16.0.1", false, false, false, false},
		{"172.32.0.1", true, false, true, false},
		{"192.168.1.1", false, false, false, false},
		{"100.64.0.1", false, false, false, false},
		{"198.18.0.1", false, false, false, false},
		{"192.0.2.1", false, false, false, false},
		{"168.63.129.16", false, false, false, false}, // Azure
		{"168.63.129.17", true, false, true, false},
		{"224.0.0.1", false, false, false, false},
		{"240.0.0.1", false, false, false, false},
		{"255.255.255.255", false, false, false, false},
		{"fe80::1", false, false, false, false},
		{"fe80::1%lo", false, false, false, false},
		{"fc00::1", false, false, false, false},
		{"ff02::1", false, false, false, false},
		{"fec0::1", false, false, false, false},
		{"64:ff9b::7f00:1", false, false, false, false}, // NAT64
		{"64:ff9b::10.1.2.3", false, false, false, false},
		{"64:ff9b:1::a00:1", false, false, false, false},
		{"2002:7f00:1::1", false, false, false, false}, // 6to4
		{"2001:0:7f00:1::1", false, false, false, false},
		{"2001:db8::1", false, false, false, false},
		{"3fff::1", false, false, false, false},
		{"100::1", false, false, false, false},
	} {
		a := netip.MustParseAddr(tt.address)
		if got := Private(nil).reach(a, false); got != tt.https {
			t.Errorf("https to %s: %t; want %t", a, got, tt.https)
		}
		if got := Private(nil).reach(a, true); got != tt.plain {
			t.Errorf("http to %s: %t; want %t", a, got, tt.plain)
		}
		if got := allowed.reach(a, false); got != tt.httpsIf {
			t.Errorf("allowed, https to %s: %t; want %t", a, got, tt.httpsIf)
		}
		if got := allowed.reach(a, true); got != tt.plainIf_ {
			t.Errorf("allowed, http to %s: %t; want %t", a, got, tt.plainIf_)
		}
	}
}

// However a private address is written, and whatever a name leads to, nobody there is asked.
func TestPrivateReceivers(t *testing.T) {
	asked := newReceiver(t, status(200))
	port := asked.URL[strings.LastIndex(asked.URL, ":"):]
	w := newWorld(t, databasetest.SQLite(t))
	d := w.dispatcher()
	w.Private = nil
	leadsTo := map[string]string{
		"localhost": "127.0.0.1", "internal.example": "10.0.0.1", "rebound.example": "::ffff:127.0.0.1", "meta.example": "169.254.169.254",
		"nat.example": "64:ff9b::7f00:1", "0x7f.1": "127.0.0.1", "2130706433": "127.0.0.1", "0177.0.0.1": "127.0.0.1", "127.1": "127.0.0.1",
	}
	d.lookup = func(_ context.Context, _, name string) ([]netip.Addr, error) { // what a system's resolver makes of it
		if a, err := netip.ParseAddr(name); err == nil {
			return []netip.Addr{a}, nil
		}
		return []netip.Addr{netip.MustParseAddr(leadsTo[name])}, nil
	}
	for _, host := range []string{
		"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "0x7f.1", "2130706433", "0177.0.0.1", "127.1",
		"169.254.169.254", "localhost", "internal.example", "rebound.example", "meta.example", "nat.example", "[64:ff9b::7f00:1]",
	} {
		for _, scheme := range []string{"http://", "https://"} {
			hook, _ := w.hook(scheme + host + port)
			must(t, w.Test(t.Context(), hook.ID, time.Now()))
			w.flush(d)
			found, err := w.Deliveries(t.Context(), hook.ID, Position{}, 1)
			must(t, err)
			if got := found[0]; got.State != Waiting || !strings.Contains(got.Outcome, "private address") {
				t.Errorf("%s%s: %s, %q; want that it is private", scheme, host, got.State, got.Outcome)
			}
		}
	}
	if len(asked.bodies) > 0 {
		t.Errorf("%d requests were sent to a private address", len(asked.bodies))
	}
}

// A name that leads elsewhere when it is looked up again is not looked up again.
func TestRebinding(t *testing.T) {
	good, bad := newReceiver(t, status(200)), 0
	lookups := 0
	w := newWorld(t, databasetest.SQLite(t))
	d := w.dispatcher()
	w.Private = prefixes("127.0.0.1/32")
	d.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		if lookups++; lookups%2 == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		bad++
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
	}
	hook, _ := w.hook("http://changing.example" + good.URL[strings.LastIndex(good.URL, ":"):])
	for range 2 {
		must(t, w.Test(t.Context(), hook.ID, time.Now()))
		w.flush(d)
	}
	found, err := w.Deliveries(t.Context(), hook.ID, Position{}, 2)
	must(t, err)
	states := map[DeliveryState]int{}
	for _, f := range found {
		states[f.State]++
	}
	if lookups != 2 || bad != 1 || len(good.bodies) != 1 || states[Delivered] != 1 || states[Waiting] != 1 {
		t.Errorf("%d lookups, %d arrived, %v; want one for each of two attempts, of which one arrives", lookups, len(good.bodies), states)
	}
}

// With TLS, the certificate must be of the name, whatever address that leads to.
func TestCertificate(t *testing.T) {
	server := httptest.NewTLSServer(status(200))
	t.Cleanup(server.Close)
	for host, want := range map[string]DeliveryState{"example.com": Delivered, "other.example": Waiting} { // the test's certificate is of example.com
		w := newWorld(t, databasetest.SQLite(t))
		d := w.dispatcher()
		d.roots = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		d.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		hook, _ := w.hook("https://" + host + server.URL[strings.LastIndex(server.URL, ":"):])
		must(t, w.Test(t.Context(), hook.ID, time.Now()))
		w.flush(d)
		found, err := w.Deliveries(t.Context(), hook.ID, Position{}, 1)
		must(t, err)
		if found[0].State != want {
			t.Errorf("to %s: %s, %q; want %s", host, found[0].State, found[0].Outcome, want)
		}
	}
}
