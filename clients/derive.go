package clients

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// A token request reads one row of one table: what a client holds and the hashes of its secrets
// stand there once more, derived from the tables that are the truth. Reading those for each token
// costs PostgreSQL three times as much as the rest (docs/decisions/0013).

// derive writes the derived columns of clients. Whatever changes what a client holds or its
// secrets calls it last, in the same transaction. The end of a secret that was revoked is long
// past there, so that it is dead by any server's clock.
func (s *Store) derive(ctx context.Context, clientIDs ...string) error {
	for some := range slices.Chunk(clientIDs, chunk) {
		among, args := in(1, some)
		_, err := s.db.Exec(ctx, `UPDATE clients SET
			sections = COALESCE((SELECT string_agg(section_id, ' ') FROM client_sections WHERE client_id = clients.id), ''),
			permissions = COALESCE((SELECT string_agg(target || ':' || action, ' ') FROM client_permissions WHERE client_id = clients.id), ''),
			secrets = COALESCE((SELECT string_agg(id || ',' || hash || ',' || CASE revoked_at WHEN 0 THEN expires_at ELSE 1 END, ' ') FROM client_secrets WHERE client_id = clients.id), '')
			WHERE id IN `+among, args...)
		if err != nil {
			return fmt.Errorf("derive the rows of clients: %w", err)
		}
	}
	return nil
}

// derivedColumns are what a token request needs to know of a client.
const derivedColumns = `c.id, c.all_sections, c.audiences, c.token_lifetime, c.signing_alg, c.disabled,
	c.suspended_at, c.expires_at, c.status_index, c.plan, c.limits, c.sections, c.permissions, c.secrets`

// scanDerived reads the derived columns of one client, and one more of the same row into extra.
func scanDerived(row interface{ Scan(dest ...any) error }, extra any) (*Client, error) {
	var c Client
	var allSections bool
	var lifetime int64
	var suspended, expires database.Time
	var limits, held, permissions, secrets string
	err := row.Scan(&c.ID, &allSections, (*database.List)(&c.Audiences), &lifetime, &c.SigningAlg, &c.Disabled,
		&suspended, &expires, &c.StatusIndex, &c.Plan, &limits, &held, &permissions, &secrets, extra)
	if err != nil {
		return nil, fmt.Errorf("read a client: %w", err)
	}
	c.TokenLifetime, c.SuspendedAt, c.ExpiresAt = time.Duration(lifetime)*time.Second, suspended.Time, expires.Time
	c.Held = heldOf(allSections, held, permissions)
	if c.Limits, err = ParseLimits(c.Plan, limits); err != nil {
		return nil, fmt.Errorf("read client %s: %w", c.ID, err)
	}
	for text := range strings.FieldsSeq(secrets) {
		credential, err := parseDerived(text)
		if err != nil {
			return nil, fmt.Errorf("read client %s: %w", c.ID, err)
		}
		c.Credentials = append(c.Credentials, credential)
	}
	return &c, nil
}

// heldOf reads what a client holds from lists that the database joined.
func heldOf(allSections bool, joinedSections, joinedPermissions string) sections.Held {
	held := sections.Held{Sections: fields(joinedSections)}
	if allSections {
		held.Sections = []string{sections.Wildcard}
	}
	for _, text := range fields(joinedPermissions) {
		target, action, _ := strings.Cut(text, ":")
		held.Permissions = append(held.Permissions, sections.Permission{Target: target, Action: action})
	}
	return held
}

// parseDerived reads what is needed of a secret to authenticate with it.
func parseDerived(text string) (Credential, error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return Credential{}, errors.New("a secret has not three columns")
	}
	c := Credential{ID: parts[0]}
	if err := c.hash.parse(parts[1]); err != nil {
		return Credential{}, err
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return Credential{}, fmt.Errorf("a secret's time: %w", err)
	}
	c.ExpiresAt = database.FromUnix(seconds).Time
	return c, nil
}

// parse reads a hash as String writes it.
func (h *hash) parse(text string) error {
	sum, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(sum) != len(h) {
		return errors.New("a secret's hash is not one")
	}
	copy(h[:], sum)
	return nil
}
