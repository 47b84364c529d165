package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// whyFlags are which refusals are asked about.
type whyFlags struct {
	client, since string
}

// whyCommand is `wardkey why`.
func (c *cli) whyCommand() *cobra.Command {
	var f whyFlags
	cmd := &cobra.Command{
		Use: "why [ERROR_ID]", Short: "Say why a token request was refused, and what to do",
		Long: `Say why a token request was refused, and what to do: by the error_id that the integration was told,
or for all refusals of a client in the last 7 days. The client may be deleted, or never have been:
then give the id that was sent.`,
		Example: `  wardkey why 4PXMBK2JXOZLSAVNHYQ7DUGTIE
  wardkey why --client "CRM integration - production"
  wardkey why --client 35779f4a-e7b9-4b61-a57e-4b51d83e2cfb --since 1d --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && f.client == "":
				return usagef("why needs ERROR_ID, or --client CLIENT")
			case len(args) > 0 && f.client != "":
				return usagef("why takes ERROR_ID or --client, not both")
			case len(args) > 0 && f.since != "":
				return usagef("--since is for --client; an ERROR_ID is one request")
			case len(args) == 0:
				return nil
			}
			return takes("ERROR_ID")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.whyClient(cmd, &f)
			}
			return c.whyError(cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&f.client, "client", "", "all refusals of a client: its id, or a name that only one has or had")
	cmd.Flags().StringVar(&f.since, "since", "", "with --client: not before; so long ago (1d), a date, or a time of RFC 3339")
	completeIDs(c, cmd, "client", &clientKind)
	return c.administering(cmd)
}

func (a *adminAPI) refusals(ctx context.Context, params adminclient.ListRefusalsParams) (page[adminclient.Refusal], error) {
	return pages[adminclient.Refusal](0, func(p *pageParams) (*http.Response, error) {
		params.Limit, params.Cursor = p.Limit, p.Cursor
		return a.ListRefusals(ctx, &params)
	})
}

// whyError explains the one refusal that an error_id belongs to.
func (c *cli) whyError(cmd *cobra.Command, id string) error {
	api, err := c.admin()
	if err != nil {
		return err
	}
	all, err := api.refusals(cmd.Context(), adminclient.ListRefusalsParams{ErrorID: &id})
	if err == nil && len(all.Items) == 0 || isProblem(err, "not-found") {
		return fmt.Errorf(`nothing is known of error_id %s. It may be
  older than 7 days;
  of something else than a refused token request (then the server's log has it);
  another server's: this one is %s`, quote(id), api.remote.url)
	}
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(all)
	}
	return printCauses(p, all.Items, "")
}

// whyClient explains all refusals of a client, by cause.
func (c *cli) whyClient(cmd *cobra.Command, f *whyFlags) error {
	since, err := momentFlag("since", f.since, time.Now(), parsePast)
	if err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	id, called, err := api.anyClient(cmd.Context(), f.client)
	if err != nil {
		return err
	}
	all, err := api.refusals(cmd.Context(), adminclient.ListRefusalsParams{Client: &id, Since: since})
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	switch {
	case len(all.Items) == 0 && called == "":
		return fmt.Errorf("no client has or had the id or the name %s, and nobody asked for a token with it in the last 7 days", quote(f.client))
	case p.json:
		return p.value(all)
	case len(all.Items) == 0:
		return p.say("No token request of %s was refused%s.", called, whenAsked(f.since))
	}
	return printCauses(p, all.Items, strings.TrimPrefix(called, "client "))
}

func whenAsked(since string) string {
	if since == "" {
		return " in the last 7 days"
	}
	return " since " + since
}

// A causeGroup is refusals of one cause, in one sentence.
type causeGroup struct {
	refusals []adminclient.Refusal
	count    int64
}

// byCause puts refusals together that have one explanation, in the order of their last one.
func byCause(all []adminclient.Refusal) []*causeGroup {
	var groups []*causeGroup
	known := map[string]*causeGroup{}
	for _, r := range all {
		key := strings.Join([]string{orDash(r.ClientID), r.Cause, r.Explanation}, "\x00")
		group := known[key]
		if group == nil {
			group = &causeGroup{}
			known[key] = group
			groups = append(groups, group)
		}
		group.refusals = append(group.refusals, r)
		group.count += r.Count
	}
	slices.SortStableFunc(groups, func(a, b *causeGroup) int { return b.last().Compare(a.last()) })
	return groups
}

func (g *causeGroup) first() time.Time {
	return slices.MinFunc(g.refusals, func(a, b adminclient.Refusal) int { return a.FirstAt.Compare(b.FirstAt) }).FirstAt
}

func (g *causeGroup) last() time.Time {
	return slices.MaxFunc(g.refusals, func(a, b adminclient.Refusal) int { return a.LastAt.Compare(b.LastAt) }).LastAt
}

// addresses are from where, the most frequent first.
func (g *causeGroup) addresses() string {
	counts := map[string]int64{}
	var names []string
	for _, r := range g.refusals {
		name := addressName(r.Address)
		if counts[name] == 0 {
			names = append(names, name)
		}
		counts[name] += r.Count
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%s)", name, times(counts[name]))
	}
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// printCauses says for each cause why, what to do, when, from where, and how often. Asked is the
// client that was asked about, if it is or was here.
func printCauses(p *printer, all []adminclient.Refusal, asked string) error {
	for i, group := range byCause(all) {
		if i > 0 {
			if err := p.say(""); err != nil {
				return err
			}
		}
		if err := p.cause(group, asked); err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) cause(g *causeGroup, asked string) error {
	r := g.refusals[0]
	if err := p.say("%s", p.paint(bold, clean(r.Explanation))); err != nil {
		return err
	}
	first, last := g.first(), g.last()
	fields := [][2]string{
		{"  What to do", r.Cure},
		{"  Client", refusedClient(r, asked)},
		{"  When", stamped(&last, p.now)},
		{"  From", g.addresses()},
		{"  Cause", r.Cause},
	}
	if r.Detail != "" {
		fields[4][1] += ", " + r.Detail
	}
	if g.count > 1 {
		fields[2][1] = fmt.Sprintf("%s, first %s, last %s", times(g.count), stamped(&first, p.now), stamped(&last, p.now))
	}
	if r.At != nil {
		fields[2][1] = stamped(r.At, p.now) + "; in that hour " + times(g.count)
	}
	return p.fields(fields...)
}

// refusedClient is whose request was refused. The answer names no client where the server did not
// get as far as looking it up.
func refusedClient(r adminclient.Refusal, asked string) string {
	unnamed, unknown := r.ClientID == nil || *r.ClientID == "", r.Cause == "unknown_client"
	switch {
	case unnamed && unknown && asked == "":
		return "none that is or was here"
	case unnamed && unknown:
		return asked + ", which was not here at that time"
	case unnamed:
		return orElse(asked, "not known") + "; the request was refused before its client was looked up"
	case r.ClientName == nil || *r.ClientName == "":
		return *r.ClientID
	}
	return *r.ClientID + " (" + *r.ClientName + ")"
}
