package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

// A resource is what the handlers of one kind of thing share: T is the thing itself, Shown the
// generated type that tells of it. Whatever changes the store does so in one transaction, which
// may run more than once.
type resource[T, Shown any] struct {
	*Handler
	list     string                     // its path below base; cursors are bound to it
	target   func(*T) audit.Target      // what the audit log calls it; nil if its store writes to the log
	client   func(*T) (clientID string) // that it is about; nil for none
	one      func(ctx context.Context, id string) (*T, error)
	page     func(ctx context.Context, page sections.Page) ([]*T, error)
	show     func(*T) Shown
	position func(*T) (created time.Time, id string)
}

// location is the path of one of them.
func (r resource[T, Shown]) location(thing *T) string {
	_, id := r.position(thing)
	return base + "/" + r.list + "/" + id
}

// items returns a page, and the cursor of the one after it, nil at the end.
func (r resource[T, Shown]) items(ctx context.Context, params pageParams) (items []Shown, next *string, err error) {
	page, err := params.page(r.CursorKey, r.list)
	if err != nil {
		return nil, nil, err
	}
	page.Limit++ // one more says whether there is more
	found, err := r.page(ctx, page)
	if err != nil {
		return nil, nil, err
	}
	if len(found) == page.Limit {
		found = found[:page.Limit-1]
		at, id := r.position(found[len(found)-1])
		next = new(cursor(r.CursorKey, r.list, at, id))
	}
	items = make([]Shown, len(found))
	for i, thing := range found {
		items[i] = r.show(thing)
	}
	return items, next, nil
}

// read returns one as it is shown, and its entity tag.
func (r resource[T, Shown]) read(ctx context.Context, id string) (shown Shown, tag string, err error) {
	thing, err := r.one(ctx, id)
	if err != nil {
		return shown, "", err
	}
	shown = r.show(thing)
	return shown, etag(shown), nil
}

// create saves a new one, once for each Idempotency-Key.
func (r resource[T, Shown]) create(ctx context.Context, thing *T, save func(context.Context, *T) error) (shown Shown, tag string, err error) {
	err = r.DB.Transact(ctx, func(ctx context.Context) error {
		if err := once(ctx, r.DB); err != nil {
			return err
		}
		if err := save(ctx, thing); err != nil {
			return err
		}
		shown = r.show(thing)
		_, id := r.position(thing)
		if err := made(ctx, r.DB, id); err != nil {
			return err
		}
		return r.audited(ctx, "create", thing, nil, shown)
	})
	if err != nil && asProblem(err).kind == taken {
		err = cmp.Or(once(ctx, r.DB), err) // maybe by the same request, which came twice at once
	}
	return shown, etag(shown), err
}

// audited records what was done to one.
func (r resource[T, Shown]) audited(ctx context.Context, action string, thing *T, before, after any) error {
	if r.target == nil {
		return nil
	}
	clientID := ""
	if r.client != nil {
		clientID = r.client(thing)
	}
	return r.record(ctx, action, r.target(thing), clientID, before, after)
}

// update changes one if it is as match says.
func (r resource[T, Shown]) update(ctx context.Context, id string, match *string, change func(context.Context, *T) error) (shown Shown, tag string, err error) {
	err = r.DB.Transact(ctx, func(ctx context.Context) error {
		thing, err := r.one(ctx, id)
		if err != nil {
			return err
		}
		before := r.show(thing)
		if err := ifMatch(match, etag(before)); err != nil {
			return err
		}
		if err := change(ctx, thing); err != nil {
			return err
		}
		if shown = r.show(thing); etag(shown) == etag(before) {
			return nil // nothing was changed
		}
		return r.audited(ctx, "update", thing, before, shown)
	})
	return shown, etag(shown), err
}

// deleteParams are the same for every DELETE.
type deleteParams wire.DeleteClientParams

// errDryRun ends a transaction whose work was only wanted for what it would do.
var errDryRun = errors.New("a dry run is rolled back")

// remove deletes one if it is as If-Match says. Of a dry run it returns what was done and undone;
// otherwise it returns nil.
func (r resource[T, Shown]) remove(ctx context.Context, id string, params deleteParams, take func(context.Context, *T) (wire.Preview, error)) (*wire.Preview, error) {
	var done wire.Preview
	err := r.DB.Transact(ctx, func(ctx context.Context) error {
		thing, err := r.one(ctx, id)
		if err != nil {
			return err
		}
		before := r.show(thing)
		if err := ifMatch(params.IfMatch, etag(before)); err != nil {
			return err
		}
		if done, err = take(ctx, thing); err != nil {
			return err
		}
		if params.dry() {
			return errDryRun
		}
		return r.audited(ctx, "delete", thing, before, nil)
	})
	if errors.Is(err, errDryRun) {
		return complete(done), nil
	}
	return nil, err
}

func (p deleteParams) dry() bool { return p.DryRun != nil && *p.DryRun }

// complete fills what every preview has.
func complete(p wire.Preview) *wire.Preview {
	p.DryRun = true
	for _, ids := range []*[]string{&p.ClientsNarrowed, &p.ClientsDeleted, &p.SecretsEnded} {
		*ids = slices.Sorted(slices.Values(*ids))
		if *ids == nil {
			*ids = []string{} // [] in JSON, not null
		}
	}
	return &p
}

// pointers adapts a list of things to a list of pointers to them.
func pointers[T any](page func(context.Context, sections.Page) ([]T, error)) func(context.Context, sections.Page) ([]*T, error) {
	return func(ctx context.Context, p sections.Page) ([]*T, error) {
		things, err := page(ctx, p)
		found := make([]*T, len(things))
		for i := range things {
			found[i] = &things[i]
		}
		return found, err
	}
}

// now is the time to the second, as the store keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// stamp is a time as it is shown.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// stampIf is a time as it is shown, nil for never.
func stampIf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(stamp(t))
}
