package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/verify"
)

// A check is one of those that a token must pass.
type check struct {
	Name   string `json:"check"`
	Result string `json:"result"`
	Detail string `json:"detail"`
}

// What becomes of a check.
const (
	passed  = "ok"
	failed  = "failed"
	skipped = "skipped"
)

// A verdict is what the package verify says of a token, with each check.
type verdict struct {
	Valid  bool           `json:"valid"`
	Checks []check        `json:"checks"`
	Claims map[string]any `json:"claims,omitempty"` // only if the signature is good

	refused error
}

// examine has the package verify judge a token. Only its judgement counts; the checks explain it.
func examine(ctx context.Context, remote *remote, token, audience string) (*verdict, error) {
	server, err := remote.metadata(ctx)
	if err != nil {
		return nil, err
	}
	e := explanation{header: segment(token, 0), claims: segment(token, 1), issuer: server.Issuer, audience: audience, now: time.Now()}
	wanted := audience
	if wanted == "" {
		wanted = oneWord(e.anyAudience())
	}
	reached := *remote.client
	reached.Transport = reachedAt{server.Issuer, remote.url, reached.Transport}
	v, err := verify.New(server.Issuer, wanted, verify.WithHTTPClient(&reached),
		verify.WithJWKSURL(remote.url+"/.well-known/jwks.json"), verify.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	defer v.Close()
	_, e.judged = v.Verify(ctx, token)
	if e.judged != nil && !errors.Is(e.judged, verify.ErrInvalidToken) {
		return nil, e.judged
	}
	out := &verdict{Valid: e.judged == nil, Checks: append(e.checks(), e.checkStatus())}
	if !errors.Is(e.judged, verify.ErrMalformed) && !errors.Is(e.judged, verify.ErrSignature) {
		out.Claims = e.claims
	}
	if e.judged != nil {
		out.refused = fmt.Errorf("refused: %s", e.reason())
	}
	return out, nil
}

// A reachedAt asks for what is below the issuer at the address where its server is reached.
type reachedAt struct {
	issuer, address string
	next            http.RoundTripper // nil for the default
}

// RoundTrip implements [http.RoundTripper].
func (a reachedAt) RoundTrip(r *http.Request) (*http.Response, error) {
	if path, below := strings.CutPrefix(r.URL.String(), a.issuer+"/"); below {
		u, err := url.Parse(a.address + "/" + path)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL, r.Host = u, ""
	}
	return cmp.Or(a.next, http.DefaultTransport).RoundTrip(r)
}

// print writes a line for each check, or JSON.
func (v *verdict) print(p *printer) error {
	if p.json {
		return p.value(v)
	}
	marks := map[string][2]string{passed: {"ok", green}, failed: {"NO", red}, skipped: {"--", dim}}
	var rows []row
	for _, c := range v.Checks {
		rows = append(rows, row{cells: []string{marks[c.Result][0], c.Name, c.Detail}, style: marks[c.Result][1]})
	}
	for _, name := range []string{"client_id", "scope"} {
		if claim, ok := v.Claims[name]; ok {
			rows = append(rows, row{cells: []string{"", name, fmt.Sprint(claim)}})
		}
	}
	return p.aligned(rows)
}

// An explanation says in words why a token was judged as it was.
type explanation struct {
	judged           error // nil, or what matches verify.ErrInvalidToken
	header, claims   map[string]any
	issuer, audience string
	now              time.Time
}

// reason is what verify says, without its name.
func (e *explanation) reason() string {
	return clean(strings.TrimPrefix(e.judged.Error(), "verify: "))
}

// checks says each check. What a token says of itself is believed once its signature is good.
func (e *explanation) checks() []check {
	form := check{"form", passed, "an access token of RFC 9068"}
	signature := check{"signature", passed, fmt.Sprintf("%v, by key %v of %s", e.header["alg"], e.header["kid"], e.issuer)}
	switch {
	case errors.Is(e.judged, verify.ErrMalformed):
		form = check{"form", failed, e.reason()}
		return append([]check{form}, skip("it could not be read", "signature", "issuer", "audience", "time", "bearer")...)
	case errors.Is(e.judged, verify.ErrSignature):
		signature = check{"signature", failed, e.reason()}
		return append([]check{form, signature}, skip("nothing in it can be believed", "issuer", "audience", "time", "bearer")...)
	}
	return []check{form, signature, e.checkIssuer(), e.checkAudience(), e.checkTime(), e.checkBearer()}
}

func skip(why string, names ...string) []check {
	checks := make([]check, len(names))
	for i, name := range names {
		checks[i] = check{name, skipped, why}
	}
	return checks
}

func (e *explanation) checkIssuer() check {
	if iss := fmt.Sprint(e.claims["iss"]); iss != e.issuer {
		return check{"issuer", failed, iss + ", not " + e.issuer}
	}
	return check{"issuer", passed, e.issuer}
}

func (e *explanation) checkAudience() check {
	all := e.audiences()
	switch said := strings.Join(all, " "); {
	case len(all) == 0:
		return check{"audience", failed, "it is for nobody"}
	case e.audience == "":
		return check{"audience", skipped, said + "; give --audience to check it"}
	case !slices.Contains(all, e.audience):
		return check{"audience", failed, said + ", not " + e.audience}
	default:
		return check{"audience", passed, said}
	}
}

func (e *explanation) checkTime() check {
	issued, ends := numericDate(e.claims["iat"]), numericDate(e.claims["exp"])
	began := "issued " + ago(&issued, e.now)
	switch {
	case errors.Is(e.judged, verify.ErrNotYetValid):
		return check{"time", failed, e.reason() + ": " + began}
	case !e.now.Before(ends):
		return check{"time", failed, began + ", ended " + stamped(&ends, e.now)}
	}
	return check{"time", passed, began + ", ends " + ago(&ends, e.now)}
}

func (e *explanation) checkBearer() check {
	if _, bound := e.claims["cnf"]; bound {
		return check{"bearer", failed, "it is bound to a key, so who bears it is not enough"}
	}
	return check{"bearer", passed, "who bears it may use it"}
}

// checkStatus says what the status list does of the token's client. It is looked at last.
func (e *explanation) checkStatus() check {
	_, named := e.claims["status"]
	switch {
	case errors.Is(e.judged, verify.ErrRevoked):
		return check{"revocation", failed, e.reason()}
	case e.judged != nil:
		return check{"revocation", skipped, "it is refused already"}
	case !named:
		return check{"revocation", skipped, "it names no status list"}
	}
	return check{"revocation", passed, "its client's tokens were not revoked, says the status list"}
}

// audiences reads aud, which is a text or a list of them (RFC 7519 §4.1.3).
func (e *explanation) audiences() []string {
	list, ok := e.claims["aud"].([]any)
	if !ok {
		list = []any{e.claims["aud"]}
	}
	all := make([]string, len(list))
	for i, audience := range list {
		all[i] = fmt.Sprint(audience)
	}
	return all
}

// anyAudience is one of the token's own, which it cannot fail to be for.
func (e *explanation) anyAudience() string {
	if all := e.audiences(); len(all) > 0 {
		return all[0]
	}
	return "none"
}

// segment decodes a segment of a token, for showing it; nil if it cannot.
func segment(token string, n int) map[string]any {
	segments := strings.Split(token, ".")
	if n >= len(segments) {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(segments[n])
	if err != nil {
		return nil
	}
	var members map[string]any
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	if dec.Decode(&members) != nil {
		return nil
	}
	return members
}

// numericDate reads a NumericDate (RFC 7519 §2).
func numericDate(claim any) time.Time {
	number, _ := claim.(json.Number)
	seconds, _ := number.Float64()
	return time.Unix(int64(seconds), 0)
}
