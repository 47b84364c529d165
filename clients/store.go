package clients

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// A Store keeps clients. Inside a transaction of its database (database.DB.Transact) its methods
// take part in it.
type Store struct {
	db *database.DB
}

// NewStore returns a store in db, which has the current schema.
func NewStore(db *database.DB) *Store { return &Store{db: db} }

// columns are all of a client's, in one row.
const columns = `c.id, c.name, c.description, c.all_sections, c.audiences, c.token_lifetime,
	c.signing_alg, c.plan, c.limits, c.disabled, c.keep_unused, c.suspended_at, c.expires_at, c.created_at, c.created_by, c.status_index,
	(SELECT COALESCE(max(last_used_at), 0) FROM secret_uses WHERE client_id = c.id),
	(SELECT string_agg(section_id, ' ') FROM client_sections WHERE client_id = c.id),
	(SELECT string_agg(target || ':' || action, ' ') FROM client_permissions WHERE client_id = c.id),
	(SELECT string_agg(s.id || ',' || s.hash || ',' || s.hint || ',' || s.created_at || ',' || s.expires_at || ',' || COALESCE(u.last_used_at, 0), ' ')
		FROM client_secrets s LEFT JOIN secret_uses u ON u.client_id = s.client_id AND u.secret_id = s.id
		WHERE s.client_id = c.id AND s.revoked_at = 0)`

// scan reads the columns of one client.
func scan(row interface{ Scan(dest ...any) error }) (*Client, error) {
	var c Client
	var allSections bool
	var lifetime int64
	var suspended, expires, created, used database.Time
	var limits string
	var held, permissions, secrets sql.NullString
	err := row.Scan(
		&c.ID, &c.Name, &c.Description, &allSections, (*database.List)(&c.Audiences), &lifetime,
		&c.SigningAlg, &c.Plan, &limits, &c.Disabled, &c.KeepUnused, &suspended, &expires, &created, &c.CreatedBy, &c.StatusIndex, &used,
		&held, &permissions, &secrets)
	if err != nil {
		return nil, fmt.Errorf("read a client: %w", err)
	}
	c.TokenLifetime = time.Duration(lifetime) * time.Second
	c.SuspendedAt, c.ExpiresAt, c.CreatedAt, c.LastUsedAt = suspended.Time, expires.Time, created.Time, used.Time
	c.Held = heldOf(allSections, held.String, permissions.String)
	if c.Limits, err = ParseLimits(c.Plan, limits); err != nil {
		return nil, fmt.Errorf("read client %s: %w", c.ID, err)
	}
	for text := range strings.FieldsSeq(secrets.String) {
		credential, err := parseCredential(text)
		if err != nil {
			return nil, fmt.Errorf("read client %s: %w", c.ID, err)
		}
		c.Credentials = append(c.Credentials, credential)
	}
	slices.SortFunc(c.Credentials, func(a, b Credential) int {
		return cmpTime(a.CreatedAt, b.CreatedAt, a.ID, b.ID)
	})
	return &c, nil
}

func cmpTime(a, b time.Time, aID, bID string) int {
	if c := a.Compare(b); c != 0 {
		return c
	}
	return strings.Compare(aID, bID)
}

// fields splits a list that the database joined, and sorts it as bytes, whatever the database's
// own order.
func fields(joined string) []string {
	list := strings.Fields(joined)
	slices.Sort(list)
	return list
}

func parseCredential(text string) (Credential, error) {
	parts := strings.Split(text, ",")
	if len(parts) != 6 {
		return Credential{}, errors.New("a secret has not six columns")
	}
	c := Credential{ID: parts[0], Hint: parts[2]}
	if err := c.hash.parse(parts[1]); err != nil {
		return Credential{}, err
	}
	for i, t := range []*time.Time{&c.CreatedAt, &c.ExpiresAt, &c.LastUsedAt} {
		seconds, err := strconv.ParseInt(parts[3+i], 10, 64)
		if err != nil {
			return Credential{}, fmt.Errorf("a secret's time: %w", err)
		}
		*t = database.FromUnix(seconds).Time
	}
	return c, nil
}

// Client returns the client with the given id, or ErrNotFound.
func (s *Store) Client(ctx context.Context, id string) (*Client, error) {
	found, err := s.list(ctx, `SELECT `+columns+` FROM clients c WHERE c.id = $1`, id)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (s *Store) list(ctx context.Context, query string, args ...any) ([]*Client, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read clients: %w", err)
	}
	defer rows.Close()
	all := []*Client{}
	for rows.Next() {
		c, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// Create saves a new client with one secret, which it makes and returns. The id and the place in
// the status lists are given here; the rest was checked by [Client.Normalize].
func (s *Store) Create(ctx context.Context, c *Client, now time.Time) (Secret, error) {
	credential, secret := NewCredential(now, time.Time{})
	c.ID = uuid.NewString()
	c.CreatedAt = now.UTC().Truncate(time.Second)
	c.Credentials = []Credential{credential}
	err := s.db.Transact(ctx, func(ctx context.Context) error {
		position, err := s.claimStatus(ctx, c.ID, now)
		if err != nil {
			return err
		}
		c.StatusIndex = position
		_, err = s.db.Exec(ctx, `INSERT INTO clients (id, name, description, all_sections, audiences, token_lifetime,
			signing_alg, disabled, expires_at, created_at, created_by, status_index, plan, limits, keep_unused)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
			c.ID, c.Name, c.Description, c.holdsAllSections(), database.List(c.Audiences), int64(c.TokenLifetime/time.Second),
			c.SigningAlg, c.Disabled, database.At(c.ExpiresAt), database.At(c.CreatedAt), c.CreatedBy, c.StatusIndex,
			string(c.Plan), c.storedLimits(), c.KeepUnused)
		if err != nil {
			return err
		}
		if err := s.insertHeld(ctx, c); err != nil {
			return err
		}
		if err := s.insertSecret(ctx, c.ID, credential); err != nil {
			return err
		}
		if _, err := s.db.Exec(ctx, `INSERT INTO client_uses (client_id, last_used_at) VALUES ($1, 0)`, c.ID); err != nil {
			return err
		}
		return errors.Join(s.saveSearch(ctx, c), s.derive(ctx, c.ID))
	})
	if err != nil {
		return Secret{}, fmt.Errorf("create a client: %w", err)
	}
	return secret, nil
}

// Update saves what an admin may change of a client, as checked by [Client.Normalize]. It
// returns ErrNotFound.
func (s *Store) Update(ctx context.Context, c *Client) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `UPDATE clients SET name = $1, description = $2, all_sections = $3, audiences = $4,
			token_lifetime = $5, signing_alg = $6, disabled = $7, expires_at = $8, plan = $9, limits = $10, keep_unused = $11 WHERE id = $12`,
			c.Name, c.Description, c.holdsAllSections(), database.List(c.Audiences), int64(c.TokenLifetime/time.Second),
			c.SigningAlg, c.Disabled, database.At(c.ExpiresAt), string(c.Plan), c.storedLimits(), c.KeepUnused, c.ID)
		if err == nil && n == 0 {
			return ErrNotFound
		}
		for _, statement := range []string{
			`DELETE FROM client_sections WHERE client_id = $1`,
			`DELETE FROM client_permissions WHERE client_id = $1`,
		} {
			if err == nil {
				_, err = s.db.Exec(ctx, statement, c.ID)
			}
		}
		if err != nil {
			return fmt.Errorf("update client %s: %w", c.ID, err)
		}
		if err := s.insertHeld(ctx, c); err != nil {
			return err
		}
		return errors.Join(s.saveSearch(ctx, c), s.derive(ctx, c.ID))
	})
}

func (c *Client) holdsAllSections() bool { return slices.Contains(c.Held.Sections, sections.Wildcard) }

func (s *Store) insertHeld(ctx context.Context, c *Client) error {
	for _, id := range c.Held.Sections {
		if id == sections.Wildcard {
			continue
		}
		_, err := s.db.Exec(ctx, `INSERT INTO client_sections (client_id, section_id) VALUES ($1, $2)`, c.ID, id)
		if err != nil {
			return fmt.Errorf("give Section %s: %w", id, err)
		}
	}
	for _, p := range c.Held.Permissions {
		_, err := s.db.Exec(ctx, `INSERT INTO client_permissions (client_id, target, action) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, c.ID, p.Target, p.Action)
		if err != nil {
			return fmt.Errorf("give permission %s: %w", p, err)
		}
	}
	return nil
}
