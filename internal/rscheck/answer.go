package rscheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/wardkey/wardkey/internal/attacks"
)

// maxBody is how much of an answer is read. It is looked at to know the framework, and for the
// token in it.
const maxBody = 64 << 10

// An answer is what came back from the service.
type answer struct {
	request attacks.Request
	made    error // the attack could not be made
	failed  error // nothing came back

	status     int
	header     http.Header
	body       string
	repeated   bool // a refusal that has the token in it
	challenges []challenge

	keysFetched, baitsTaken int
}

// send sends a request to the service.
func (c *Check) send(ctx context.Context, request attacks.Request) answer {
	got := answer{request: request}
	r, err := http.NewRequestWithContext(ctx, c.Method, c.URL, strings.NewReader(c.Body))
	if err != nil {
		got.made = err
		return got
	}
	for name, values := range c.Header {
		r.Header[name] = values
	}
	request.Apply(r)
	resp, err := c.Client.Do(r)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address, which may have a token in it
	}
	if err != nil {
		got.failed = err
		return got
	}
	defer resp.Body.Close() //nolint:errcheck // as much of it as matters is read
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	got.status, got.header, got.body = resp.StatusCode, resp.Header, string(body)
	got.read(request)
	return got
}

// read reads the challenges, and takes the token out of the answer.
func (g *answer) read(request attacks.Request) {
	fields := g.header.Values("WWW-Authenticate")
	for _, credentials := range request.Authorization {
		_, token, _ := strings.Cut(credentials, " ")
		if len(token) < 20 { // a word, which an answer may well have
			continue
		}
		for i, field := range fields {
			g.repeated = g.repeated || strings.Contains(field, token)
			fields[i] = strings.ReplaceAll(field, token, "[token]")
		}
		g.repeated = g.repeated || strings.Contains(g.body, token)
		g.body = strings.ReplaceAll(g.body, token, "[token]")
	}
	g.repeated = g.repeated && attacks.Refused(g.status)
	g.challenges = parseChallenges(fields)
}

// words say what came back.
func (g *answer) words() string {
	switch {
	case g.made != nil:
		return g.made.Error()
	case g.failed != nil:
		return "no answer: " + g.failed.Error()
	}
	text := fmt.Sprintf("%d %s", g.status, http.StatusText(g.status))
	if bearer := g.bearer(); bearer != nil {
		text += ", " + bearer.text
	}
	return text
}

// bearer is the challenge of RFC 6750 §3, or nil.
func (g *answer) bearer() *challenge {
	for i := range g.challenges {
		if strings.EqualFold(g.challenges[i].scheme, "Bearer") {
			return &g.challenges[i]
		}
	}
	return nil
}

// A challenge is one of those in WWW-Authenticate (RFC 9110 §11.6.1).
type challenge struct {
	text, scheme string
	params       map[string]string
	repeats      bool // a parameter stands there twice
}

// parseChallenges reads fields of one challenge each, as services send them.
func parseChallenges(fields []string) []challenge {
	var all []challenge
	for _, field := range fields {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(field), " ")
		c := challenge{text: field, scheme: scheme, params: map[string]string{}}
		for rest != "" {
			var name, value string
			name, value, rest = parameter(rest)
			_, there := c.params[name]
			c.repeats = c.repeats || there
			if name != "" {
				c.params[name] = value
			}
		}
		all = append(all, c)
	}
	return all
}

// parameter cuts the first auth-param off a challenge.
func parameter(text string) (name, value, rest string) {
	text = strings.TrimLeft(text, " ,\t")
	name, text, ok := strings.Cut(text, "=")
	if !ok {
		return "", "", ""
	}
	name = strings.ToLower(strings.TrimSpace(name))
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ",")
		return name, strings.TrimSpace(value), rest
	}
	value, rest, _ = strings.Cut(text[1:], `"`)
	return name, value, rest
}
