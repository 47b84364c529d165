package clients

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// A Tombstone is what is left of a deleted client.
type Tombstone struct {
	ID        string
	Name      string
	DeletedAt time.Time
	DeletedBy string
}

// Tombstones are those of clients that were deleted together.
type Tombstones []Tombstone

// IDs returns the ids of the clients.
func (t Tombstones) IDs() []string {
	ids := make([]string, len(t))
	for i := range t {
		ids[i] = t[i].ID
	}
	return ids
}

// Delete ends a client for ever. Its id, its name and who deleted it when are kept, and its bit
// in the status lists is set. It returns ErrNotFound.
func (s *Store) Delete(ctx context.Context, id, by string, now time.Time) error {
	gone, err := s.DeleteAll(ctx, []string{id}, by, now)
	if err == nil && len(gone) == 0 {
		err = ErrNotFound
	}
	return err
}

// DeleteAll deletes the clients with the given ids as [Store.Delete] does, in one transaction,
// and returns what is left of them, by id. Ids that no client has are passed over.
func (s *Store) DeleteAll(ctx context.Context, ids []string, by string, now time.Time) (Tombstones, error) {
	var gone Tombstones
	err := s.db.Transact(ctx, func(ctx context.Context) error {
		gone = nil
		for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), chunk) {
			deleted, err := s.deleteChunk(ctx, some, by, now)
			if err != nil {
				return fmt.Errorf("delete clients: %w", err)
			}
			gone = append(gone, deleted...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

func (s *Store) deleteChunk(ctx context.Context, ids []string, by string, now time.Time) (Tombstones, error) {
	among, args := in(3, ids)
	if _, err := s.db.Exec(ctx, `INSERT INTO deleted_clients (id, name, folded_name, deleted_at, deleted_by)
		SELECT c.id, c.name, COALESCE(f.name, c.name), $1, $2 FROM clients c LEFT JOIN client_search f ON f.client_id = c.id
		WHERE c.id IN `+among, append([]any{database.At(now), by}, args...)...); err != nil {
		return nil, err
	}
	if _, err := s.revokeStatus(ctx, now, ids); err != nil {
		return nil, err
	}
	among, args = in(1, ids)
	gone, err := s.tombstones(ctx, `SELECT id, name, deleted_at, deleted_by FROM deleted_clients
		WHERE id IN (SELECT id FROM clients WHERE id IN `+among+`) ORDER BY id`, args...)
	if err != nil {
		return nil, err
	}
	// What refers to a client goes with it, but many at once are quicker than each by itself.
	for _, statement := range []string{
		`DELETE FROM secret_uses WHERE client_id IN `,
		`DELETE FROM client_uses WHERE client_id IN `,
		`DELETE FROM secret_activity WHERE client_id IN `,
		`DELETE FROM client_permissions WHERE client_id IN `,
		`DELETE FROM clients WHERE id IN `,
	} {
		if _, err := s.db.Exec(ctx, statement+among, args...); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// chunk is how many clients one statement names.
const chunk = 500

// in lists the places of so many arguments, numbered from the given one, and the arguments.
func in(first int, ids []string) (string, []any) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return database.Places(first-1, len(ids)), args
}

// Deleted returns what is left of a deleted client, or ErrNotFound.
func (s *Store) Deleted(ctx context.Context, id string) (Tombstone, error) {
	found, err := s.tombstones(ctx, `SELECT id, name, deleted_at, deleted_by FROM deleted_clients WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Tombstone{}, err
	}
	return found[0], nil
}

func (s *Store) tombstones(ctx context.Context, query string, args ...any) (Tombstones, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read deleted clients: %w", err)
	}
	defer rows.Close()
	all := Tombstones{}
	for rows.Next() {
		var t Tombstone
		var at database.Time
		if err := rows.Scan(&t.ID, &t.Name, &at, &t.DeletedBy); err != nil {
			return nil, fmt.Errorf("read deleted clients: %w", err)
		}
		t.DeletedAt = at.Time
		all = append(all, t)
	}
	return all, rows.Err()
}

// DeletedClients returns a part of the list of deleted clients, newest first: those whose name or
// id contains the text.
func (s *Store) DeletedClients(ctx context.Context, page sections.Page, text string) (Tombstones, error) {
	if !findable(text) {
		return Tombstones{}, nil
	}
	before := int64(math.MaxInt64)
	if !page.After.IsZero() {
		before = page.After.Unix()
	}
	return s.tombstones(ctx, `SELECT id, name, deleted_at, deleted_by FROM deleted_clients
		WHERE (deleted_at, id) < ($1, $2) AND (folded_name LIKE $3 ESCAPE '\' OR id LIKE $3 ESCAPE '\')
		ORDER BY deleted_at DESC, id DESC LIMIT $4`, before, page.AfterID, containing(text), page.Limit)
}
