package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/audit"
)

func (c *cli) auditVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify [FILE]", Short: "Check that the audit log is as it was written",
		SuggestFor: []string{"check", "validate"},
		Long: `Check that the audit log is as it was written: that no event was changed, taken out, put in or
moved. The exit status is 1 if one was.

With FILE, or - for standard input, check an export of the whole log; no server is needed. That the
end was not cut off, and that a server wrote it, only the server can say: without FILE it is asked.`,
		Example: "  wardkey audit verify\n  wardkey audit verify audit.jsonl\n  wardkey audit export | wardkey audit verify -",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return takes("FILE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := c.verification(cmd, args)
			if err != nil {
				return err
			}
			return printVerification(c.printer(cmd), found, len(args) > 0)
		},
	}
}

// verification is what the server says of its log, or what a file says of itself.
func (c *cli) verification(cmd *cobra.Command, args []string) (adminclient.AuditVerification, error) {
	if len(args) > 0 {
		return verifyExport(cmd, args[0])
	}
	api, err := c.admin()
	if err != nil {
		return adminclient.AuditVerification{}, err
	}
	found, _, err := fetch[adminclient.AuditVerification](api.patient().VerifyAuditEvents(cmd.Context()))
	return found, err
}

// verifyExport checks an export without a server.
func verifyExport(cmd *cobra.Command, path string) (found adminclient.AuditVerification, err error) {
	from := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return found, fmt.Errorf("read the export: %w", err)
		}
		defer f.Close() //nolint:errcheck // it is only read
		from = f
	}
	events, fault, err := audit.VerifyFile(from)
	if err != nil {
		return found, err
	}
	found = adminclient.AuditVerification{Whole: fault == nil, Events: events}
	if fault != nil {
		found.Fault = &adminclient.AuditFault{Seq: fault.Seq, Reason: fault.Reason}
	}
	return found, nil
}

// printVerification says what was found. A log that is not whole is an error.
func printVerification(p *printer, found adminclient.AuditVerification, offline bool) error {
	if p.json {
		if err := p.value(found); err != nil {
			return err
		}
	}
	good := strconv.FormatInt(found.Events, 10) + " events"
	if !found.Whole {
		reason := "it does not say where"
		if found.Fault != nil {
			reason = clean(found.Fault.Reason)
		}
		if offline && found.Events == 0 {
			reason += "; only an export of the whole log, without filters, can be checked"
		}
		return fmt.Errorf("the log is not as it was written: %s; before that, %s are", reason, good)
	}
	if offline {
		return p.say("%s, as they were written. That none is missing at the end, only the server can say: wardkey audit verify", good)
	}
	return p.say("The audit log is whole: %s, as they were written.", good)
}
