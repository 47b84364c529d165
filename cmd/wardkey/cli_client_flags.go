package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// clientFlags are what of a client can be set.
type clientFlags struct {
	description string
	audiences   []string
	lifetime    string
	alg         string
	expires     string
	keepUnused  bool
	limits      limitFlags

	sections    []string
	allSections bool
	allow       []string
	capability  []string
	access      string
}

// settings adds the flags of what a client is.
func (f *clientFlags) settings(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.description, "description", "", "what it is for, and who looks after it")
	flags.StringArrayVar(&f.audiences, "audience", nil, `an API that its tokens may be for, the first by default; may repeat; "all" is each of the server's (default)`)
	flags.StringVar(&f.lifetime, "token-lifetime", "", `how long its tokens live, 1m to 24h; "default" is the server's own`)
	flags.StringVar(&f.alg, "signing-alg", "", `what its tokens are signed with: ES256, RS256 or EdDSA; "default" is the server's own`)
	flags.StringVar(&f.expires, "expires", "", `when it ends: in a time (30d), on a date (2030-01-31, its first moment in UTC), or at 2030-01-31T12:00:00Z; "never"`)
	flags.BoolVar(&f.keepUnused, "keep-unused", false, "never suspend it, however long nobody uses it; =false takes that back")
	complete(cmd, "signing-alg", "ES256", "RS256", "EdDSA", "default")
	f.limits.add(cmd)
}

// grants adds the flags of what a client may do.
func (f *clientFlags) grants(c *cli, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.sections, "section", nil, "a Section that it may work in; may repeat")
	flags.BoolVar(&f.allSections, "all-sections", false, "every Section, present and future")
	flags.StringSliceVar(&f.allow, "allow", nil, "KEYSPACE:ACTION, for example email:read; may repeat")
	flags.StringSliceVar(&f.capability, "capability", nil, "CAPABILITY:ACTION, for example transactional-email:send; may repeat")
	flags.StringVar(&f.access, "access", "", "on every keyspace: read, write (each action but read) or full (each action)")
	complete(cmd, "access", "read", "write", "full")
	completeIDs(c, cmd, "section", &sectionKind)
}

// complete names the values of a flag to shells.
func complete(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
}

// changes are the settings that were given, as members of a body; null is the default.
func (f *clientFlags) changes(cmd *cobra.Command, now time.Time) (adminclient.Patch, error) {
	patch := adminclient.Patch{}
	given := cmd.Flags().Changed
	if given("description") {
		patch["description"] = f.description
	}
	if given("keep-unused") {
		patch["keep_unused"] = f.keepUnused
	}
	if given("audience") {
		patch["audiences"] = f.audiences
		if slices.Equal(f.audiences, []string{"all"}) {
			patch["audiences"] = nil
		}
	}
	if given("signing-alg") {
		patch["signing_alg"] = f.alg
		if f.alg == "default" {
			patch["signing_alg"] = nil
		}
	}
	f.limits.changes(cmd, patch)
	if given("token-lifetime") {
		patch["token_lifetime"] = nil
		if f.lifetime != "default" {
			span, err := parseSpan(f.lifetime)
			if err != nil {
				return nil, usagef("--token-lifetime %w", err)
			}
			patch["token_lifetime"] = int(span / time.Second)
		}
	}
	if given("expires") {
		patch["expires_at"] = nil
		if f.expires != "never" {
			at, err := parseMoment(f.expires, now)
			if err != nil {
				return nil, usagef("--expires %w", err)
			}
			patch["expires_at"] = at
		}
	}
	return patch, nil
}

// givenSections are those of --section or --all-sections; there may be none.
func (f *clientFlags) givenSections() ([]string, error) {
	switch {
	case f.allSections && len(f.sections) > 0:
		return nil, usagef("--all-sections is every Section; leave out --section")
	case f.allSections:
		return []string{"*"}, nil
	}
	return append([]string{}, f.sections...), nil // [] in JSON, not null
}

// permissions are those of --allow, --capability and --access.
func (f *clientFlags) permissions(ctx context.Context, api *adminAPI) (adminclient.Permissions, error) {
	held := adminclient.Permissions{}
	if err := addPermissions(held, f.allow, f.capability); err != nil {
		return nil, err
	}
	if f.access != "" {
		actions, err := f.preset(ctx, api)
		if err != nil {
			return nil, err
		}
		held["*"] = slices.Compact(slices.Sorted(slices.Values(append(held["*"], actions...))))
	}
	if len(held) == 0 {
		return nil, usagef("say what it may do: --access read, --allow KEYSPACE:ACTION, --capability CAPABILITY:ACTION")
	}
	return held, nil
}

func addPermissions(held adminclient.Permissions, allow, capability []string) error {
	for _, flag := range []struct {
		name, form string
		values     []string
	}{{"--allow", "KEYSPACE:ACTION, like email:read", allow}, {"--capability", "CAPABILITY:ACTION, like transactional-email:send", capability}} {
		for _, value := range flag.values {
			target, action, _ := strings.Cut(value, ":")
			if target == "" || action == "" || strings.Contains(action, ":") || target == "*" && flag.name == "--capability" {
				return usagef("%s must be %s, not %q", flag.name, flag.form, value)
			}
			if !slices.Contains(held[target], action) {
				held[target] = append(held[target], action)
			}
		}
	}
	return nil
}

// preset is what --access stands for: actions of the keyspaces that exist.
func (f *clientFlags) preset(ctx context.Context, api *adminAPI) ([]string, error) {
	if !slices.Contains([]string{"read", "write", "full"}, f.access) {
		return nil, usagef("--access must be read, write or full, not %q", f.access)
	}
	keyspaces, err := keyspaceKind.all(ctx, api, 0)
	if err != nil {
		return nil, err
	}
	var actions []string
	for _, k := range keyspaces.Items {
		for _, action := range k.Actions {
			if f.access == "full" || (action == "read") == (f.access == "read") {
				actions = append(actions, action)
			}
		}
	}
	if len(actions) == 0 {
		return nil, usagef("no keyspace has an action that --access %s stands for; see wardkey keyspace list", f.access)
	}
	return actions, nil
}

func jsonBody(v any) io.Reader {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and times always can be written
	}
	return bytes.NewReader(text)
}
