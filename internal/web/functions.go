package web

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// functions are what templates call.
var functions = template.FuncMap{
	"asset":        func(file string) string { return assetPaths[file] },
	"ago":          func(t any) string { return ago(moment(t), time.Now()) },
	"exact":        func(t any) string { return exact(moment(t)) },
	"iso":          func(t any) string { return iso(moment(t)) },
	"permissions":  permissionWords,
	"sections":     sectionWords,
	"keyState":     func(c adminclient.Client) state { return stateOf(c, time.Now()) },
	"list":         func(words ...string) []string { return words },
	"dict":         dict,
	"query":        query,
	"lifetime":     lifetimeName,
	"plan":         planName,
	"once":         rand.Text,
	"actor":        actorWords,
	"actorKey":     actorKey,
	"targetName":   targetName,
	"targetPath":   targetPath,
	"changeLines":  changeLines,
	"signingState": func(k adminclient.SigningKey) state { return signingKeyState(k, time.Now()) },
	"reach":        reach,
	"browserName":  browserName,
	"claim":        claimText,
	"outcome":      outcomeState,

	"kindTitle":     kindTitle,
	"share":         share,
	"number":        number,
	"cause":         causeWords,
	"useState":      stateWords,
	"webhookState":  webhookState,
	"deliveryState": deliveryState,
}

// moment is a time of the API, zero for never.
func moment(t any) time.Time {
	switch t := t.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// exact is a time for those who want to know, in UTC.
func exact(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2 January 2006, 15:04:05 UTC")
}

// iso is a time for the datetime attribute.
func iso(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// ago is a time in words, as people say it.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	span := now.Sub(t)
	format := "%s ago"
	if span < 0 {
		span, format = -span, "in %s"
	}
	units := []struct {
		length time.Duration
		name   string
	}{{365 * 24 * time.Hour, "year"}, {30 * 24 * time.Hour, "month"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}}
	for _, unit := range units {
		if n := int(span / unit.length); n >= 1 {
			name := unit.name
			if n > 1 {
				name += "s"
			}
			return fmt.Sprintf(format, fmt.Sprintf("%d %s", n, name))
		}
	}
	if format == "in %s" {
		return "in less than a minute"
	}
	return "just now"
}

// A state is whether a key gets tokens, in a word, and how that looks.
type state struct{ Word, Tone string }

func stateOf(c adminclient.Client, now time.Time) state {
	switch {
	case c.Disabled:
		return state{"Disabled", "off"}
	case c.SuspendedAt != nil:
		return state{"Suspended", "bad"}
	case c.ExpiresAt != nil && !now.Before(*c.ExpiresAt):
		return state{"Expired", "bad"}
	case c.ExpiresAt != nil && c.ExpiresAt.Sub(now) < 14*24*time.Hour:
		return state{"Expires " + ago(*c.ExpiresAt, now), "warn"}
	}
	return state{"Active", "good"}
}

// sectionWords are Sections in short.
func sectionWords(ids []string) string {
	switch {
	case len(ids) == 0:
		return "none"
	case slices.Equal(ids, []string{"*"}):
		return "All Sections"
	case len(ids) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:2], ", "), len(ids)-2)
	}
	return strings.Join(ids, ", ")
}

// permissionWords are permissions in short: "email: read, write".
func permissionWords(held adminclient.Permissions) []string {
	var words []string
	for _, target := range slices.Sorted(maps.Keys(held)) {
		name := target
		if target == "*" {
			name = "every keyspace"
		}
		words = append(words, name+": "+strings.Join(held[target], ", "))
	}
	return words
}

// actorWords say who did something.
func actorWords(a adminclient.AuditActor) string {
	switch {
	case a.Name != nil && *a.Name != "":
		return *a.Name
	case a.Kind == "server":
		return "the server itself"
	case a.Kind == "nobody":
		return "nobody who is known"
	case a.Kind == "command_line":
		return strings.TrimSpace("the command line " + a.ID)
	}
	return string(a.Kind) + " " + a.ID
}

// actorKey is what the audit log is asked for an actor with.
func actorKey(a adminclient.AuditActor) string { return orElse(a.ID, string(a.Kind)) }

// targetName is what was done something to, in words.
func targetName(e adminclient.AuditEvent) string {
	t := e.Target
	kind := strings.ReplaceAll(t.Kind, "_", " ")
	switch {
	case t.Kind == "secret" && t.Name != nil:
		return "secret …" + *t.Name
	case t.Kind == "signing_key" && t.Name != nil:
		return *t.Name + " " + t.ID[:min(len(t.ID), 8)] + "…"
	case t.Name != nil:
		return *t.Name
	case t.ID != "":
		return kind + " " + t.ID
	}
	return ""
}

// targetPath is the page of what was done something to, "" for none.
func targetPath(e adminclient.AuditEvent) string {
	switch kind := e.Target.Kind; {
	case strings.HasSuffix(e.Action, ".delete") && e.Target.Kind == "client":
		return base + "/troubleshoot?what=" + url.QueryEscape(e.Target.ID)
	case strings.HasSuffix(e.Action, ".delete"):
		return ""
	case e.ClientID != nil:
		return base + "/keys/" + url.PathEscape(*e.ClientID)
	case kind == "section" || kind == "keyspace":
		return base + "/" + kind + "s/" + url.PathEscape(e.Target.ID)
	case kind == "capability":
		return base + "/capabilities/" + url.PathEscape(e.Target.ID)
	}
	return ""
}

// browserName is what people call a browser.
func browserName(userAgent string) string {
	browsers := []struct{ sign, name string }{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	}
	systems := []struct{ sign, name string }{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
	name := "Some program"
	for _, b := range browsers {
		if strings.Contains(userAgent, b.sign) {
			name = b.name
			break
		}
	}
	for _, s := range systems {
		if strings.Contains(userAgent, s.sign) {
			return name + " on " + s.name
		}
	}
	return name
}

// changeLines say what changed, a line for each member that is not empty.
func changeLines(changes map[string]adminclient.AuditChange) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		c := changes[name]
		before, after, taken := plain(c.Before), plain(c.After), plain(c.Taken)
		name = strings.ReplaceAll(name, "_", " ")
		switch {
		case taken != "":
			lines = append(lines, fmt.Sprintf("%s: %s taken away", name, taken))
		case before == "" && after == "":
		case before == "":
			lines = append(lines, fmt.Sprintf("%s: %s", name, after))
		case after == "" && c.After == nil:
			lines = append(lines, fmt.Sprintf("%s: was %s", name, before))
		default:
			lines = append(lines, fmt.Sprintf("%s: %s → %s", name, before, orElse(after, "none")))
		}
	}
	return lines
}

// plain is JSON as people read it: texts without quotes, lists with commas, a Secret by how it
// ends.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = plain(v[i])
		}
		return strings.Join(words, ", ")
	case map[string]any:
		return plainMembers(v)
	}
	return fmt.Sprint(v)
}

func plainMembers(members map[string]any) string {
	if hint, ok := members["hint"].(string); ok {
		return "…" + hint
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if value := plain(members[name]); value != "" {
			words = append(words, name+": "+value)
		}
	}
	return strings.Join(words, "; ")
}

// claimText is a claim as people read it: times in words too.
func claimText(name string, value any) string {
	number, ok := value.(json.Number)
	if seconds, err := number.Int64(); ok && err == nil && slices.Contains([]string{"iat", "exp", "nbf"}, name) {
		t := time.Unix(seconds, 0)
		return fmt.Sprintf("%d, %s (%s)", seconds, exact(t), ago(t, time.Now()))
	}
	return plain(value)
}

// dict makes what a template passes to another.
func dict(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// query is the query of an address, with one of its values replaced; "" takes it away.
func query(values url.Values, pairs ...string) string {
	changed := maps.Clone(values)
	if changed == nil {
		changed = url.Values{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			changed.Del(pairs[i])
			continue
		}
		changed.Set(pairs[i], pairs[i+1])
	}
	if len(changed) == 0 {
		return "?"
	}
	return "?" + changed.Encode()
}
