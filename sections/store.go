package sections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Store keeps Sections, keyspaces and capabilities. Inside a transaction of its database
// (database.DB.Transact) its methods take part in it.
type Store struct {
	db *database.DB
}

// NewStore returns a store in db, which has the current schema.
func NewStore(db *database.DB) *Store { return &Store{db: db} }

// A Page says which part of a list is wanted: what comes after the thing that was created at
// After with the id AfterID, and at most Limit of it.
type Page struct {
	After   time.Time
	AfterID string
	Limit   int
}

// Spaces of ids: keyspaces and capabilities share one.
const (
	sectionSpace    = "section"
	permissionSpace = "permission"
)

// claim takes an id for ever, or returns ErrTaken.
func (s *Store) claim(ctx context.Context, space, id string) error {
	_, err := s.db.Exec(ctx, `INSERT INTO used_ids (space, id) VALUES ($1, $2)`, space, id)
	if database.IsConflict(err) {
		return ErrTaken
	}
	return err
}

// change runs fn in a transaction that makes every copy of the catalog in memory out of date.
func (s *Store) change(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		_, err := s.db.Exec(ctx, `UPDATE catalog SET version = version + 1 WHERE id = 1`)
		return err
	})
}

// changeOne is change for a statement that must meet one row; it returns ErrNotFound otherwise.
func (s *Store) changeOne(ctx context.Context, statement string, args ...any) error {
	return s.change(ctx, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, statement, args...)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// CreateSection saves a new Section. It returns [Invalid] if a rule is broken, and ErrTaken.
func (s *Store) CreateSection(ctx context.Context, x *Section) error {
	if err := x.normalize(); err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context) error {
		if err := s.claim(ctx, sectionSpace, x.ID); err != nil {
			return err
		}
		_, err := s.db.Exec(ctx, `INSERT INTO sections (id, name, created_at) VALUES ($1, $2, $3)`,
			x.ID, x.Name, database.At(x.CreatedAt))
		return err
	})
}

// UpdateSection saves the Section's name. It returns [Invalid] and ErrNotFound.
func (s *Store) UpdateSection(ctx context.Context, x *Section) error {
	if err := x.normalize(); err != nil {
		return err
	}
	return s.changeOne(ctx, `UPDATE sections SET name = $1 WHERE id = $2`, x.Name, x.ID)
}

// DeleteSection forgets a Section that no client refers to any more, but for its id.
func (s *Store) DeleteSection(ctx context.Context, id string) error {
	return s.changeOne(ctx, `DELETE FROM sections WHERE id = $1`, id)
}

// Section returns the Section with the given id, or ErrNotFound.
func (s *Store) Section(ctx context.Context, id string) (*Section, error) {
	return one(s.db.QueryRow(ctx, `SELECT id, name, created_at FROM sections WHERE id = $1`, id), scanSection)
}

// Sections returns a part of the list of Sections, oldest first.
func (s *Store) Sections(ctx context.Context, page Page) ([]Section, error) {
	return many(ctx, s.db, scanSection, `SELECT id, name, created_at FROM sections
		WHERE created_at > $1 OR created_at = $1 AND id > $2 ORDER BY created_at, id LIMIT $3`,
		database.At(page.After), page.AfterID, page.Limit)
}

// CreateKeyspace saves a new keyspace. It returns [Invalid] if a rule is broken, and ErrTaken.
func (s *Store) CreateKeyspace(ctx context.Context, k *Keyspace) error {
	if err := k.normalize(); err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context) error {
		if err := s.claim(ctx, permissionSpace, k.ID); err != nil {
			return err
		}
		_, err := s.db.Exec(ctx, `INSERT INTO keyspaces (id, name, actions, created_at) VALUES ($1, $2, $3, $4)`,
			k.ID, k.Name, database.List(k.Actions), database.At(k.CreatedAt))
		return err
	})
}

// UpdateKeyspace saves the keyspace's name and actions. It returns [Invalid] and ErrNotFound.
// What clients hold of actions that are gone is for clients.Store to take away.
func (s *Store) UpdateKeyspace(ctx context.Context, k *Keyspace) error {
	if err := k.normalize(); err != nil {
		return err
	}
	return s.changeOne(ctx, `UPDATE keyspaces SET name = $1, actions = $2 WHERE id = $3`, k.Name, database.List(k.Actions), k.ID)
}

// DeleteKeyspace forgets a keyspace, but for its id. It returns ErrNotFound.
func (s *Store) DeleteKeyspace(ctx context.Context, id string) error {
	return s.changeOne(ctx, `DELETE FROM keyspaces WHERE id = $1`, id)
}

// Keyspace returns the keyspace with the given id, or ErrNotFound.
func (s *Store) Keyspace(ctx context.Context, id string) (*Keyspace, error) {
	return one(s.db.QueryRow(ctx, `SELECT id, name, actions, created_at FROM keyspaces WHERE id = $1`, id), scanKeyspace)
}

// Keyspaces returns a part of the list of keyspaces, oldest first.
func (s *Store) Keyspaces(ctx context.Context, page Page) ([]Keyspace, error) {
	return many(ctx, s.db, scanKeyspace, `SELECT id, name, actions, created_at FROM keyspaces
		WHERE created_at > $1 OR created_at = $1 AND id > $2 ORDER BY created_at, id LIMIT $3`,
		database.At(page.After), page.AfterID, page.Limit)
}

// CreateCapability saves a new capability. It returns [Invalid] if a rule is broken, and ErrTaken.
func (s *Store) CreateCapability(ctx context.Context, c *Capability) error {
	if err := c.normalize(); err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context) error {
		if err := s.claim(ctx, permissionSpace, c.ID); err != nil {
			return err
		}
		_, err := s.db.Exec(ctx, `INSERT INTO capabilities (id, name, actions, enabled, created_at) VALUES ($1, $2, $3, $4, $5)`,
			c.ID, c.Name, database.List(c.Actions), c.Enabled, database.At(c.CreatedAt))
		return err
	})
}

// UpdateCapability saves the capability's name, actions and switch. It returns [Invalid] and
// ErrNotFound. What clients hold of actions that are gone is for clients.Store to take away.
func (s *Store) UpdateCapability(ctx context.Context, c *Capability) error {
	if err := c.normalize(); err != nil {
		return err
	}
	return s.changeOne(ctx, `UPDATE capabilities SET name = $1, actions = $2, enabled = $3 WHERE id = $4`,
		c.Name, database.List(c.Actions), c.Enabled, c.ID)
}

// DeleteCapability forgets a capability, but for its id. It returns ErrNotFound.
func (s *Store) DeleteCapability(ctx context.Context, id string) error {
	return s.changeOne(ctx, `DELETE FROM capabilities WHERE id = $1`, id)
}

// Capability returns the capability with the given id, or ErrNotFound.
func (s *Store) Capability(ctx context.Context, id string) (*Capability, error) {
	return one(s.db.QueryRow(ctx, `SELECT id, name, actions, enabled, created_at FROM capabilities WHERE id = $1`, id), scanCapability)
}

// Capabilities returns a part of the list of capabilities, oldest first.
func (s *Store) Capabilities(ctx context.Context, page Page) ([]Capability, error) {
	return many(ctx, s.db, scanCapability, `SELECT id, name, actions, enabled, created_at FROM capabilities
		WHERE created_at > $1 OR created_at = $1 AND id > $2 ORDER BY created_at, id LIMIT $3`,
		database.At(page.After), page.AfterID, page.Limit)
}

// Catalog reads all that exists. Its version is read first, so that the catalog is never older
// than it says.
func (s *Store) Catalog(ctx context.Context) (*Catalog, error) {
	var version int64
	if err := s.db.QueryRow(ctx, `SELECT version FROM catalog WHERE id = 1`).Scan(&version); err != nil {
		return nil, fmt.Errorf("read the catalog's version: %w", err)
	}
	const everything = 1 << 30
	sections, err := s.Sections(ctx, Page{Limit: everything})
	if err != nil {
		return nil, err
	}
	keyspaces, err := s.Keyspaces(ctx, Page{Limit: everything})
	if err != nil {
		return nil, err
	}
	capabilities, err := s.Capabilities(ctx, Page{Limit: everything})
	if err != nil {
		return nil, err
	}
	c := NewCatalog(sections, keyspaces, capabilities)
	c.version = version
	return c, nil
}

type scanner interface{ Scan(dest ...any) error }

func scanSection(row scanner) (x Section, err error) {
	var created database.Time
	err = row.Scan(&x.ID, &x.Name, &created)
	x.CreatedAt = created.Time
	return x, err
}

func scanKeyspace(row scanner) (k Keyspace, err error) {
	var created database.Time
	err = row.Scan(&k.ID, &k.Name, (*database.List)(&k.Actions), &created)
	k.CreatedAt = created.Time
	return k, err
}

func scanCapability(row scanner) (c Capability, err error) {
	var created database.Time
	err = row.Scan(&c.ID, &c.Name, (*database.List)(&c.Actions), &c.Enabled, &created)
	c.CreatedAt = created.Time
	return c, err
}

// one reads a single row; no row is ErrNotFound.
func one[T any](row *sql.Row, scan func(scanner) (T, error)) (*T, error) {
	v, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a %T: %w", v, err)
	}
	return &v, nil
}

// many reads all rows of a statement.
func many[T any](ctx context.Context, db *database.DB, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		all = append(all, v)
	}
	return slices.Clip(all), rows.Err()
}
