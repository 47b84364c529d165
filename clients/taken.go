package clients

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/sections"
)

// TakeSection takes a Section from every client that holds it. A client that is left with none
// is deleted. It returns the ids of the clients that lost the Section and live on, and of those
// that were deleted.
func (s *Store) TakeSection(ctx context.Context, sectionID, by string, now time.Time) (narrowed, deleted []string, err error) {
	err = s.db.Transact(ctx, func(ctx context.Context) error {
		narrowed, deleted = nil, nil
		holders, err := s.ids(ctx, `SELECT client_id FROM client_sections WHERE section_id = $1`, sectionID)
		if err != nil {
			return err
		}
		if _, err := s.db.Exec(ctx, `DELETE FROM client_sections WHERE section_id = $1`, sectionID); err != nil {
			return fmt.Errorf("take Section %s: %w", sectionID, err)
		}
		for _, id := range holders {
			var left int
			if err := s.db.QueryRow(ctx, `SELECT count(*) FROM client_sections WHERE client_id = $1`, id).Scan(&left); err != nil {
				return fmt.Errorf("count the Sections of client %s: %w", id, err)
			}
			if left > 0 {
				narrowed = append(narrowed, id)
				continue
			}
			if err := s.Delete(ctx, id, by, now); err != nil {
				return err
			}
			deleted = append(deleted, id)
		}
		return s.derive(ctx, narrowed...)
	})
	return narrowed, deleted, err
}

// TakePermissions takes a keyspace or capability from every client, but for the actions in keep.
// It returns the ids of the clients that lost something.
func (s *Store) TakePermissions(ctx context.Context, target string, keep []string) ([]string, error) {
	var narrowed []string
	err := s.db.Transact(ctx, func(ctx context.Context) error {
		holders, err := s.permissions(ctx, target)
		if err != nil {
			return err
		}
		narrowed = nil
		for _, h := range holders {
			if slices.Contains(keep, h.Action) {
				continue
			}
			if _, err := s.db.Exec(ctx, `DELETE FROM client_permissions WHERE client_id = $1 AND target = $2 AND action = $3`,
				h.clientID, h.Target, h.Action); err != nil {
				return fmt.Errorf("take %s: %w", h.Permission, err)
			}
			narrowed = append(narrowed, h.clientID)
		}
		slices.Sort(narrowed)
		narrowed = slices.Compact(narrowed)
		return s.derive(ctx, narrowed...)
	})
	return narrowed, err
}

type holding struct {
	clientID string
	sections.Permission
}

func (s *Store) permissions(ctx context.Context, target string) ([]holding, error) {
	rows, err := s.db.Query(ctx, `SELECT client_id, action FROM client_permissions WHERE target = $1`, target)
	if err != nil {
		return nil, fmt.Errorf("read who holds %s: %w", target, err)
	}
	defer rows.Close()
	var all []holding
	for rows.Next() {
		h := holding{Permission: sections.Permission{Target: target}}
		if err := rows.Scan(&h.clientID, &h.Action); err != nil {
			return nil, fmt.Errorf("read who holds %s: %w", target, err)
		}
		all = append(all, h)
	}
	return all, rows.Err()
}

func (s *Store) ids(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read client ids: %w", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read client ids: %w", err)
		}
		all = append(all, id)
	}
	return all, rows.Err()
}
