package clients

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/sections"
)

// A Loss is what a client lost when something was taken from every client.
type Loss struct {
	ClientID    string
	Name        string
	Sections    []string
	Permissions []sections.Permission
}

// Losses are those of all clients from which the same was taken, by client id.
type Losses []Loss

// IDs returns the ids of the clients.
func (l Losses) IDs() []string {
	ids := make([]string, len(l))
	for i := range l {
		ids[i] = l[i].ClientID
	}
	return ids
}

// TakeSection takes a Section from every client that holds it. A client that is left with none
// is deleted. It returns the clients that lost the Section and live on, and those that were
// deleted.
func (s *Store) TakeSection(ctx context.Context, sectionID, by string, now time.Time) (narrowed Losses, deleted Tombstones, err error) {
	err = s.db.Transact(ctx, func(ctx context.Context) error {
		var empty []string
		if narrowed, empty, err = s.holders(ctx, sectionID); err != nil {
			return err
		}
		if _, err := s.db.Exec(ctx, `DELETE FROM client_sections WHERE section_id = $1`, sectionID); err != nil {
			return fmt.Errorf("take Section %s: %w", sectionID, err)
		}
		if deleted, err = s.DeleteAll(ctx, empty, by, now); err != nil {
			return err
		}
		return s.derive(ctx, narrowed.IDs()...)
	})
	return narrowed, deleted, err
}

// holders returns the clients that hold a Section beside others, as what they lose, and the ids
// of those that hold no other.
func (s *Store) holders(ctx context.Context, sectionID string) (more Losses, only []string, err error) {
	rows, err := s.db.Query(ctx, `SELECT c.id, c.name,
			EXISTS (SELECT 1 FROM client_sections o WHERE o.client_id = c.id AND o.section_id <> $1)
		FROM client_sections h JOIN clients c ON c.id = h.client_id WHERE h.section_id = $1 ORDER BY c.id`, sectionID)
	if err != nil {
		return nil, nil, fmt.Errorf("read who holds Section %s: %w", sectionID, err)
	}
	defer rows.Close()
	for rows.Next() {
		loss, others := Loss{Sections: []string{sectionID}}, false
		if err := rows.Scan(&loss.ClientID, &loss.Name, &others); err != nil {
			return nil, nil, fmt.Errorf("read who holds Section %s: %w", sectionID, err)
		}
		if others {
			more = append(more, loss)
		} else {
			only = append(only, loss.ClientID)
		}
	}
	return more, only, rows.Err()
}

// TakePermissions takes a keyspace or capability from every client, but for the actions in keep.
// It returns the clients that lost something.
func (s *Store) TakePermissions(ctx context.Context, target string, keep []string) (Losses, error) {
	var narrowed Losses
	err := s.db.Transact(ctx, func(ctx context.Context) error {
		var actions []string
		var err error
		if narrowed, actions, err = s.losses(ctx, target, keep); err != nil {
			return err
		}
		for _, action := range actions {
			if _, err := s.db.Exec(ctx, `DELETE FROM client_permissions WHERE target = $1 AND action = $2`, target, action); err != nil {
				return fmt.Errorf("take %s:%s: %w", target, action, err)
			}
		}
		return s.derive(ctx, narrowed.IDs()...)
	})
	return narrowed, err
}

// losses returns what each client holds of a target beside the actions in keep, and the actions
// that these are.
func (s *Store) losses(ctx context.Context, target string, keep []string) (all Losses, actions []string, err error) {
	rows, err := s.db.Query(ctx, `SELECT c.id, c.name, p.action FROM client_permissions p JOIN clients c ON c.id = p.client_id
		WHERE p.target = $1 ORDER BY c.id, p.action`, target)
	if err != nil {
		return nil, nil, fmt.Errorf("read who holds %s: %w", target, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, name, action string
		if err := rows.Scan(&id, &name, &action); err != nil {
			return nil, nil, fmt.Errorf("read who holds %s: %w", target, err)
		}
		if slices.Contains(keep, action) {
			continue
		}
		if !slices.Contains(actions, action) {
			actions = append(actions, action)
		}
		if len(all) == 0 || all[len(all)-1].ClientID != id {
			all = append(all, Loss{ClientID: id, Name: name})
		}
		lost := &all[len(all)-1].Permissions
		*lost = append(*lost, sections.Permission{Target: target, Action: action})
	}
	return all, actions, rows.Err()
}
