package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// maxCredentials is how large a file with credentials may be, in bytes.
const maxCredentials = 64 << 10

// A secretSource is where a secret comes from. It is never an argument, which others see.
type secretSource struct {
	file  string
	stdin bool
}

func (s *secretSource) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "secret-file", "", "a file with the secret, or with JSON that has client_id and client_secret")
	cmd.Flags().BoolVar(&s.stdin, "secret-stdin", false, "read what --secret-file would have from standard input")
}

func (s *secretSource) given() bool { return s.file != "" || s.stdin }

// read reads what was given. The id is empty if it is not in there.
func (s *secretSource) read(cmd *cobra.Command) (credentials, error) {
	if s.file != "" && s.stdin {
		return credentials{}, usagef("--secret-file and --secret-stdin say two places; give one")
	}
	from := cmd.InOrStdin()
	if s.file != "" {
		f, err := os.Open(s.file)
		if err != nil {
			return credentials{}, fmt.Errorf("read the secret: %w", err)
		}
		defer f.Close() //nolint:errcheck // it is only read
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxCredentials+1))
	if err != nil {
		return credentials{}, fmt.Errorf("read the secret: %w", err)
	}
	if len(text) > maxCredentials {
		return credentials{}, errors.New("read the secret: it is too long to be one")
	}
	return parseCredentials(text)
}

// parseCredentials reads a secret; or JSON, as serve --bootstrap-file writes it, or as
// client create --json prints it. Its errors have nothing of the text in them.
func parseCredentials(text []byte) (credentials, error) {
	plain := strings.TrimSpace(string(text))
	switch {
	case plain == "":
		return credentials{}, usagef("there is no secret: what was given is empty")
	case !strings.HasPrefix(plain, "{") && strings.ContainsAny(plain, " \t\r\n"):
		return credentials{}, usagef("there is more than a secret in what was given")
	case !strings.HasPrefix(plain, "{"):
		return credentials{secret: hidden(plain)}, nil
	}
	var in struct {
		ClientID     string `json:"client_id"`
		ID           string `json:"id"`
		ClientSecret hidden `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(plain), &in); err != nil || in.ClientSecret == "" {
		return credentials{}, usagef("the JSON that was given has no client_secret")
	}
	if in.ClientID == "" {
		in.ClientID = in.ID
	}
	return credentials{in.ClientID, in.ClientSecret}, nil
}
