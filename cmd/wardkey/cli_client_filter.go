package main

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A clientFilter is which clients are meant. Only what was given counts.
type clientFilter struct {
	search, section, permission, state string
	expiresBefore, unusedSince         string
}

// clientStates are what a filter calls the states of a client.
var clientStates = []string{"active", "disabled", "suspended", "expired"}

func (f *clientFilter) flags(c *cli, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.search, "search", "", "those with this text in their name, id or description")
	flags.StringVar(&f.section, "section", "", "those that may work in this Section")
	flags.StringVar(&f.permission, "permission", "", "those that hold this permission, for example email:read")
	flags.StringVar(&f.state, "state", "", "those that are active, disabled, suspended or expired")
	flags.StringVar(&f.expiresBefore, "expires-before", "", "those that end within a time (30d), or before a date or a time of RFC 3339, or have ended")
	flags.StringVar(&f.unusedSince, "unused-since", "", "those that got no token for so long (90d), or since a date or a time of RFC 3339")
	complete(cmd, "state", clientStates...)
	completeIDs(c, cmd, "section", &sectionKind)
}

// values are the flags with where they are kept.
func (f *clientFilter) values() map[string]string {
	return map[string]string{
		"search": f.search, "section": f.section, "permission": f.permission, "state": f.state,
		"expires-before": f.expiresBefore, "unused-since": f.unusedSince,
	}
}

// given says whether there is a filter at all.
func (f *clientFilter) given(cmd *cobra.Command) bool {
	for name := range f.values() {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// params is the filter as the API knows it. What was given and is empty, as from a variable that
// is not set, is refused: without it the filter would find more than was meant.
func (f *clientFilter) params(cmd *cobra.Command, now time.Time) (*adminclient.ListClientsParams, error) {
	for name, value := range f.values() {
		if cmd.Flags().Changed(name) && value == "" {
			return nil, usagef("--%s is empty; leave it out if it shall not matter", name)
		}
	}
	if f.state != "" && !slices.Contains(clientStates, f.state) {
		return nil, usagef("--state must be %s, not %q", strings.Join(clientStates, ", "), f.state)
	}
	p := &adminclient.ListClientsParams{
		Q: unlessEmpty(f.search), Section: unlessEmpty(f.section), Permission: unlessEmpty(f.permission),
		State: (*adminclient.ListClientsParamsState)(unlessEmpty(f.state)),
	}
	var err error
	if p.ExpiresBefore, err = momentFlag("expires-before", f.expiresBefore, now, parseMoment); err != nil {
		return nil, err
	}
	p.UnusedSince, err = momentFlag("unused-since", f.unusedSince, now, parsePast)
	return p, err
}

// unlessEmpty is a text that is left out when it is empty.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// momentFlag reads a flag that is a time, nil if it is empty.
func momentFlag(name, text string, now time.Time, parse func(string, time.Time) (time.Time, error)) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := parse(text, now)
	if err != nil {
		return nil, usagef("--%s %w", name, err)
	}
	return &at, nil
}

// clientSorts are what a list of clients can be ordered by; with - in front from the greatest down.
var clientSorts = []string{"created_at", "name", "last_used_at", "expires_at"}

func (c *cli) clientListCommand() *cobra.Command {
	var f clientFilter
	var limit int
	var sort string
	cmd := &cobra.Command{
		Use: "list", Short: "List clients, or find some",
		SuggestFor: []string{"ls", "search", "find"},
		Long: `List clients, or find some: those that every given flag is true of.

--section and --permission find those that hold it by its name or by *.`,
		Example: `  wardkey client list
  wardkey client list --search crm --state active --sort name
  wardkey client list --unused-since 90d --sort last_used_at
  wardkey client list --permission email:write --expires-before 30d --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			params, err := f.params(cmd, time.Now())
			if err != nil {
				return err
			}
			if sort != "" && !slices.Contains(clientSorts, strings.TrimPrefix(sort, "-")) {
				return usagef("--sort must be %s, with - in front from the greatest down, not %q", strings.Join(clientSorts, ", "), sort)
			}
			params.Sort = (*adminclient.ListClientsParamsSort)(unlessEmpty(sort))
			api, err := c.admin()
			if err != nil {
				return err
			}
			found, err := pages[adminclient.Client](limit, func(p *pageParams) (*http.Response, error) {
				params.Limit, params.Cursor = p.Limit, p.Cursor
				return api.ListClients(cmd.Context(), params)
			})
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if len(found.Items) == 0 && f.given(cmd) && !p.json {
				return p.say("No client is like that.")
			}
			return clientKind.printList(p, found)
		},
	}
	f.flags(c, cmd)
	cmd.Flags().StringVar(&sort, "sort", "", "what to order by: "+strings.Join(clientSorts, ", ")+"; with - in front from the greatest down (default created_at)")
	complete(cmd, "sort", slices.Concat(clientSorts, []string{"-created_at", "-name", "-last_used_at", "-expires_at"})...)
	limitFlag(cmd, &limit)
	return cmd
}
