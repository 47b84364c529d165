package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// verifyCommand is `wardkey verify`.
func (c *cli) verifyCommand() *cobra.Command {
	var url, audience string
	cmd := &cobra.Command{
		Use: "verify TOKEN|-", Short: "Check an access token as an API does, and say each check",
		Long: `Check an access token as an API does that uses the package verify: offline, once the server's keys
and its status list are fetched. Each check is a line. The exit status is 1 if the token is refused.
With - the token is read from standard input.

Revocation is what the status list says: that of all of the client's tokens. A single token that its
client revoked is known to POST /oauth/introspect.`,
		Example: `  wardkey token | wardkey verify -
  wardkey verify --audience https://api.example.com - < token
  wardkey verify --url https://auth.example.com --json - < token`,
		Args: takes("TOKEN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			token := args[0]
			if token == "-" {
				text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxCredentials))
				if err != nil {
					return fmt.Errorf("read the token: %w", err)
				}
				token = strings.TrimSpace(string(text))
			}
			remote, err := c.server(url)
			if err != nil {
				return err
			}
			v, err := examine(cmd.Context(), remote, token, audience)
			if err != nil {
				return err
			}
			if err := v.print(c.printer(cmd)); err != nil {
				return err
			}
			return v.refused
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "where the server is (default WARDKEY_URL, else the profile's)")
	cmd.Flags().StringVar(&audience, "audience", "", "which API the token must be for (default any)")
	return c.administering(cmd)
}
