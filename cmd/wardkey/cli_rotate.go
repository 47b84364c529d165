package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// rotateFlags are which step of a rotation is wanted, and how.
type rotateFlags struct {
	overlap, quiet              string
	now, finish, cancel, status bool
	wait                        bool
	agreed                      consent
	overlapSpan, quietSpan      time.Duration
	overlapGiven, quietGiven    bool
}

// defaultQuiet is how long a secret must have been silent before --finish ends it.
const defaultQuiet = "24h"

func (c *cli) clientRotateCommand() *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use: "rotate CLIENT", Short: "Replace a client's secret without an outage, step by step",
		SuggestFor: []string{"renew", "roll", "regenerate", "rotate-secret"},
		Long: `Replace a client's secret without an outage, step by step.

Without flags a second secret is made and printed, this once; both work. Give the new one to every
place where the client runs, look with --status who still uses the older one, and end that with
--finish once it has been silent for 24 hours. --cancel takes all of it back.

With --overlap the older secret ends by itself after a time; with --quiet this command waits until
it has been silent for so long, and ends it; with --now it ends at once, which is an outage for
whoever has not got the new one yet.

With --json, --quiet prints two values: the new secret at once, and how it ended.`,
		Example: `  wardkey client rotate "CRM integration - production"
  wardkey client rotate "CRM integration - production" --status
  wardkey client rotate "CRM integration - production" --finish --quiet 12h
  wardkey client rotate "CRM integration - production" --overlap 7d
  wardkey client rotate "CRM integration - production" --quiet 24h`,
		Args: takes("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.parse(cmd); err != nil {
				return err
			}
			return c.rotate(cmd, args[0], &f)
		},
	}
	f.declare(cmd)
	return completeArg(c, cmd, &clientKind)
}

func (f *rotateFlags) declare(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.overlap, "overlap", "", "let the older secret end by itself after this time, up to 90d")
	flags.StringVar(&f.quiet, "quiet", "", "wait until the older secret has been silent for so long, and end it (24h for --finish)")
	flags.BoolVar(&f.now, "now", false, "end the older secret at once, for one that leaked")
	flags.BoolVar(&f.finish, "finish", false, "make no new secret: end the older one if it has been silent for --quiet")
	flags.BoolVar(&f.wait, "wait", false, "with --finish: wait until it has been")
	flags.BoolVar(&f.cancel, "cancel", false, "end the newer secret, and give the older one the end that it had before")
	flags.BoolVar(&f.status, "status", false, "show both secrets, and who uses them")
	f.agreed.yesFlag(cmd)
}

// parse reads the times, and refuses what makes no sense together.
func (f *rotateFlags) parse(cmd *cobra.Command) (err error) {
	f.overlapGiven, f.quietGiven = cmd.Flags().Changed("overlap"), cmd.Flags().Changed("quiet")
	for _, clash := range []struct {
		both   bool
		reason string
	}{
		{f.status && f.finish || f.status && f.cancel || f.finish && f.cancel, "--status, --finish and --cancel are three steps; give one"},
		{f.now && (f.finish || f.cancel || f.status), "--now makes a new secret; --finish, --cancel and --status do not"},
		{f.overlapGiven && (f.finish || f.cancel || f.status), "--overlap is for a new secret; --finish, --cancel and --status make none"},
		{f.now && f.overlapGiven, "--now ends the older secret at once, --overlap later; give one"},
		{f.now && f.quietGiven, "--now ends the older secret at once, --quiet waits; give one"},
		{f.quietGiven && (f.cancel || f.status), "--quiet is for a new secret or for --finish"},
		{f.wait && !f.finish, "--wait is for --finish; with a new secret, --quiet waits"},
	} {
		if clash.both {
			return usagef("%s", clash.reason)
		}
	}
	if !f.quietGiven {
		f.quiet = defaultQuiet
	}
	if f.quietSpan, err = parseSpan(f.quiet); err != nil || f.quietSpan < 0 {
		return usagef("--quiet must be a time like 24h or 2d, not %q", f.quiet)
	}
	if !f.overlapGiven {
		return nil
	}
	if f.overlapSpan, err = parseSpan(f.overlap); err != nil || f.overlapSpan < 0 {
		return usagef("--overlap must be a time like 7d, not %q", f.overlap)
	}
	return nil
}

// rotate takes the step that the flags say.
func (c *cli) rotate(cmd *cobra.Command, word string, f *rotateFlags) error {
	atOnce := f.now || f.overlapGiven && f.overlapSpan == 0
	if atOnce || f.finish && !f.wait || f.cancel {
		if err := f.agreed.possible(cmd); err != nil {
			return err
		}
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	client, _, err := clientKind.find(cmd.Context(), api, word)
	if err != nil {
		return err
	}
	r, err := api.rotation(cmd.Context(), client)
	if err != nil {
		return err
	}
	w := walk{c: c, cmd: cmd, api: api, client: client, flags: f, p: c.printer(cmd)}
	switch {
	case f.status:
		return w.status(r)
	case f.cancel:
		return w.cancel(r)
	case f.finish:
		return w.finish(r)
	}
	return w.begin(r, atOnce)
}

// A walk is one step of the rotation of one client's secret.
type walk struct {
	c      *cli
	cmd    *cobra.Command
	api    *adminAPI
	client adminclient.Client
	flags  *rotateFlags
	p      *printer
}

// next is a command that goes on from here, ready to paste.
func (w walk) next(flags string) string {
	if w.c.profile != "" {
		flags += " --profile " + shellQuote(w.c.profile)
	}
	return "wardkey client rotate " + w.client.ID + flags
}
