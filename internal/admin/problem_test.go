package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// Each path says which methods it has.
func TestMethodNotAllowed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for path, allow := range map[string]string{
			"/sections": "GET, HEAD, POST", "/sections/a": "DELETE, GET, HEAD, PATCH",
			"/keyspaces": "GET, HEAD, POST", "/keyspaces/a": "DELETE, GET, HEAD, PATCH",
			"/capabilities": "GET, HEAD, POST", "/capabilities/a": "DELETE, GET, HEAD, PATCH",
			"/clients": "DELETE, GET, HEAD, POST", "/clients/a": "DELETE, GET, HEAD, PATCH",
			"/clients/a/secrets": "GET, HEAD, POST", "/clients/a/secrets/b": "DELETE",
			"/signing-keys": "GET, HEAD", "/signing-keys/a": "DELETE",
			"/clients/a/revoke-tokens": "POST", "/clients/a/cancel-rotation": "POST", "/clients/a/refusals": "GET, HEAD", "/clients/a/usage": "GET, HEAD", "/usage": "GET, HEAD", "/refusals": "GET, HEAD",
			"/clients/a/secrets/b/addresses": "GET, HEAD", "/deleted-clients": "GET, HEAD", "/deleted-clients/a": "GET, HEAD",
			"/audit-events": "GET, HEAD", "/audit-events/export": "GET, HEAD", "/audit-events/verification": "GET, HEAD",
			"/admins": "GET, HEAD, POST", "/admins/a": "DELETE, GET, HEAD, PATCH", "/admins/a/reset-password": "POST",
			"/sessions": "GET, HEAD", "/sessions/a": "DELETE", "/session": "DELETE, GET, HEAD, POST", "/session/password": "POST", "/openapi.yaml": "GET, HEAD",
		} {
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
				if strings.Contains(allow, method) {
					continue
				}
				a := w.do(method, path, "").isProblem(405, "method-not-allowed")
				if got := a.header.Get("Allow"); got != allow {
					t.Errorf("%s: Allow = %q, want %q", a.what, got, allow)
				}
			}
		}
		w.do("GET", "/signing-keys/rotate", "").is(405)
	})
}

// HEAD is GET without the body.
func TestHead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		for _, path := range []string{"/sections/nordic", "/sections", "/clients/" + w.root.ID, "/signing-keys", "/openapi.yaml"} {
			get, head := w.do("GET", path, ""), w.do("HEAD", path, "")
			if head.status != 200 || len(head.body) != 0 || head.header.Get("ETag") != get.header.Get("ETag") || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
				t.Errorf("HEAD %s = %d %v, want what GET says, %v", path, head.status, head.header, get.header)
			}
		}
		if a := w.do("HEAD", "/sections/nothing", ""); a.status != 404 {
			t.Errorf("HEAD of nothing = %d, want 404", a.status)
		}
	})
}

// A full disk: the caller is told, nothing is half done, and reading goes on.
func TestFullDisk(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		w.fillDisk()
		body := `{"name":"n","description":"` + strings.Repeat("x", 1000) + `","sections":["nordic","baltic"],"permissions":{"email":["read"]}}`
		a := w.do("POST", "/clients", body)
		made := 1                                      // root
		for ; a.status == 201 && made < 1000; made++ { // until the last page that was begun is used
			a = w.do("POST", "/clients", body)
		}
		a.isProblem(507, "storage-full")
		for _, table := range []string{"clients", "client_secrets", "status_entries"} {
			var n int
			must(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
			if n != made {
				t.Errorf("%d rows in %s, want %d", n, table, made)
			}
		}
		w.do("GET", "/clients", "").is(200)
	})
}

// fillDisk lets the database grow no more.
func (w *world) fillDisk() {
	w.t.Helper()
	statements := []string{
		`CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$`,
		`CREATE TRIGGER disk_full BEFORE INSERT ON client_secrets EXECUTE FUNCTION disk_full()`, // the last that a new client needs
	}
	if w.DB.Embedded() {
		statements = []string{`PRAGMA max_page_count = 1`} // that is, as many as there are
	}
	for _, statement := range statements {
		if _, err := w.DB.Exec(w.t.Context(), statement); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A store that hangs is 503 when the time of the request is over.
func TestStoreHangs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var group sync.WaitGroup
		held := make(chan struct{})
		group.Go(func() { // holds the only writer on SQLite, and the row on PostgreSQL
			_ = w.DB.Transact(ctx, func(ctx context.Context) error {
				if _, err := w.DB.Exec(ctx, `UPDATE sections SET name = name WHERE id = 'nordic'`); err != nil {
					return err
				}
				close(held)
				<-ctx.Done()
				return ctx.Err()
			})
		})
		<-held
		w.url = w.serve(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), 300*time.Millisecond) // rather than the 15 s of all requests
				defer cancel()
				next.ServeHTTP(out, r.WithContext(ctx))
			})
		})
		a := w.do("PATCH", "/sections/nordic", `{"name":"n"}`).isProblem(503, "unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		cancel()
		group.Wait()
	})
}

// Failures that nobody foresaw tell the caller nothing, and the log all (ZC-05).
func TestInternalFailure(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, err := w.DB.Exec(t.Context(), `ALTER TABLE deleted_clients RENAME TO away`)
		must(t, err)
		a := w.do("DELETE", "/clients/"+w.root.ID, "").isProblem(500, "internal")
		if text := string(a.body); strings.Contains(text, "deleted_clients") || strings.Contains(text, "SQL") {
			t.Errorf("the answer tells what is inside: %s", text)
		}
		if log := w.log.String(); !strings.Contains(log, "deleted_clients") || !strings.Contains(log, a.header.Get("X-Request-Id")) {
			t.Errorf("the log does not tell the cause: %s", log)
		}
		w.do("GET", "/clients/"+w.root.ID, "").is(200)
	})
}

// The specification lists the types of problems, and the server knows no others (ZC-04).
func TestProblemTypesAreDocumented(t *testing.T) {
	spec, err := os.ReadFile("openapi.yaml")
	must(t, err)
	source, err := os.ReadFile("problem.go")
	must(t, err)
	documented := regexp.MustCompile("`urn:wardkey:problem:([a-z-]+)` \\| ([0-9]{3}) ").FindAllStringSubmatch(string(spec), -1)
	known := regexp.MustCompile(`kind\{http\.(Status\w+), "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	var a, b []string
	for _, m := range documented {
		a = append(a, m[1])
	}
	for _, m := range known {
		b = append(b, m[2])
	}
	slices.Sort(a)
	slices.Sort(b)
	if len(a) == 0 || !slices.Equal(a, b) {
		t.Errorf("documented: %q; known: %q", a, b)
	}
}

// Nobody needs a token to read what the API is.
func TestDescription(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		want, err := os.ReadFile("openapi.yaml")
		must(t, err)
		a := w.do("GET", "/openapi.yaml", "", "Authorization", "")
		if a.status != 200 || string(a.body) != string(want) || a.header.Get("Content-Type") != "application/yaml" {
			t.Errorf("GET /openapi.yaml = %d %s, %d bytes", a.status, a.header.Get("Content-Type"), len(a.body))
		}
		if again := w.do("GET", "/openapi.yaml", "", "Authorization", "", "If-None-Match", a.header.Get("ETag")); again.status != 304 {
			t.Errorf("GET /openapi.yaml with its ETag = %d, want 304", again.status)
		}
	})
}

// Sections and clients that come and go at the same time: each request is done or refused, none
// fails, and no client holds what is gone.
func TestConcurrentChanges(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				for j := range 5 {
					id := fmt.Sprintf("s%d-%d", i, j)
					w.allow(w.do("POST", "/sections", `{"id":"`+id+`","name":"n"}`), 201, 503)
					var inner sync.WaitGroup
					inner.Go(func() {
						w.allow(w.do("POST", "/clients", `{"name":"n","sections":["`+id+`","nordic"],"permissions":{"email":["delete"]}}`), 201, 422, 503)
					})
					inner.Go(func() { w.allow(w.do("DELETE", "/sections/"+id, ""), 204, 404, 503) })
					inner.Wait()
				}
			})
		}
		group.Go(func() {
			for _, actions := range []string{`["read"]`, `["read","delete"]`, `["read"]`} {
				w.allow(w.do("PATCH", "/keyspaces/email", `{"actions":`+actions+`}`), 200, 503)
			}
		})
		group.Wait()
		var n int
		must(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM client_sections WHERE section_id NOT IN (SELECT id FROM sections)`).Scan(&n))
		if n != 0 {
			t.Errorf("%d times a client holds a Section that is gone", n)
		}
		var k adminclient.Keyspace
		w.do("GET", "/keyspaces/email", "").is(200).into(&k)
		must(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM client_permissions WHERE target = 'email' AND action = 'delete'`).Scan(&n))
		if n != 0 && !slices.Contains(k.Actions, "delete") {
			t.Errorf("%d clients hold an action that is gone", n)
		}
	})
}

// allow checks that the status is one of several.
func (w *world) allow(a *answer, statuses ...int) {
	w.t.Helper()
	if !slices.Contains(statuses, a.status) {
		w.t.Errorf("%s = %d %s, want one of %v", a.what, a.status, a.body, statuses)
	}
}
