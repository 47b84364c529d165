package main

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func (c *cli) auditExportCommand() *cobra.Command {
	var f eventFilter
	cmd := &cobra.Command{
		Use: "export", Short: "Print what was done as JSON lines, the oldest first",
		SuggestFor: []string{"dump", "download"},
		Long: `Print what was done as JSON lines, the oldest first. An export without filters can be checked
anywhere, without the server, with wardkey audit verify FILE.`,
		Example: "  wardkey audit export > audit.jsonl\n  wardkey audit export --since 2030-01-01 --until 2030-02-01 > january.jsonl",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			filter, err := f.params(cmd.Context(), api, time.Now())
			if err != nil {
				return err
			}
			return export(cmd.OutOrStdout(), api, func(api *adminclient.API) (*http.Response, error) {
				return api.ExportAuditEvents(cmd.Context(), filter)
			})
		},
	}
	f.flags(c, cmd)
	return cmd
}

// patienceOfLog is how long something may take that goes through the whole log.
const patienceOfLog = 15 * time.Minute

// patient is the API for what takes long.
func (a *adminAPI) patient() *adminclient.API {
	client := *a.remote.client
	client.Timeout = patienceOfLog
	remote := *a.remote
	remote.client = &client
	api := *a.API
	api.Client = onceSender{&remote}
	return &api
}

// export copies the events to w. A connection that breaks is an error, so that nobody takes a part
// for the whole.
func export(w io.Writer, a *adminAPI, ask func(*adminclient.API) (*http.Response, error)) error {
	resp, err := ask(a.patient())
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/jsonl" {
		if _, _, err := fetch[struct{}](resp, nil); err != nil {
			return err
		}
		return fmt.Errorf("what the server answers is no export, but %s", clean(kind))
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the export broke off and is not whole: %w", err)
	}
	return nil
}
