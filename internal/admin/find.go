package admin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/sections"
)

// A clientFilter says which clients are asked for, in a list or to be deleted.
type clientFilter struct {
	Q, Section, Permission, State *string
	ExpiresBefore, UnusedSince    *time.Time
}

// empty says whether every client is asked for, as by a filter whose value was forgotten.
func (f clientFilter) empty() bool {
	texts := orEmpty(f.Q) + orEmpty(f.Section) + orEmpty(f.Permission) + orEmpty(f.State)
	return texts == "" && f.ExpiresBefore == nil && f.UnusedSince == nil
}

// query is the filter as the store understands it.
func (h *Handler) query(ctx context.Context, f clientFilter) (clients.Query, error) {
	q := clients.Query{
		Text: orEmpty(f.Q), SectionID: orEmpty(f.Section), State: clients.State(orEmpty(f.State)), Now: time.Now(),
		ExpiresBefore: moment(f.ExpiresBefore), UnusedSince: moment(f.UnusedSince),
	}
	if err := checkText(q.Text); err != nil {
		return q, err
	}
	states := []clients.State{clients.AnyState, clients.StateActive, clients.StateDisabled, clients.StateSuspended, clients.StateExpired}
	if !slices.Contains(states, q.State) {
		return q, &problem{kind: malformed, detail: "state must be active, disabled, suspended or expired"}
	}
	if f.Permission == nil {
		return q, nil
	}
	target, action, ok := strings.Cut(*f.Permission, ":")
	if !ok || target == "" || action == "" {
		return q, &problem{kind: malformed, detail: "permission must be of the form email:read"}
	}
	catalog, err := h.Sections.Catalog(ctx)
	if err != nil {
		return q, err
	}
	q.Permissions = catalog.Covering(sections.Permission{Target: target, Action: action})
	return q, nil
}

const maxSearch = 200 // characters

// checkText checks what is searched for.
func checkText(q string) error {
	if utf8.RuneCountInString(q) > maxSearch {
		return &problem{kind: malformed, detail: fmt.Sprintf("q may have at most %d characters", maxSearch)}
	}
	return nil
}

// ListClients answers GET /clients.
func (h endpoints) ListClients(ctx context.Context, req wire.ListClientsRequestObject) (wire.ListClientsResponseObject, error) {
	p := req.Params
	q, err := h.query(ctx, clientFilter{p.Q, p.Section, p.Permission, (*string)(p.State), p.ExpiresBefore, p.UnusedSince})
	if err != nil {
		return nil, err
	}
	sort := "created_at"
	if p.Sort != nil {
		sort = string(*p.Sort)
	}
	var ok bool
	if q.Sort, q.Descending, ok = clients.ParseSort(sort); !ok {
		return nil, &problem{kind: malformed, detail: "sort must be created_at, name, last_used_at or expires_at, or one of these with - in front"}
	}
	list := "clients?sort=" + sort // a place in one order is none in another
	page, err := pageParams{Limit: p.Limit, Cursor: p.Cursor}.page(h.CursorKey, list)
	if err != nil {
		return nil, err
	}
	q.Limit = page.Limit
	if page.AfterID != "" {
		q.After.ID, q.After.Value, _ = strings.Cut(page.AfterID, " ")
	}
	found, err := h.Clients.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := wire.ListClients200JSONResponse{Items: make([]wire.Client, len(found.Clients))}
	for i, c := range found.Clients {
		answer.Items[i] = showClient(c)
	}
	if found.Next != (clients.Position{}) {
		answer.Next = new(cursor(h.CursorKey, list, time.Unix(0, 0), found.Next.ID+" "+found.Next.Value))
	}
	return answer, nil
}

// DeleteClients answers DELETE /clients.
func (h endpoints) DeleteClients(ctx context.Context, req wire.DeleteClientsRequestObject) (wire.DeleteClientsResponseObject, error) {
	p := req.Params
	filter := clientFilter{p.Q, p.Section, p.Permission, (*string)(p.State), p.ExpiresBefore, p.UnusedSince}
	if filter.empty() {
		return nil, &problem{kind: malformed, detail: "say which clients: q, section, permission, state, expires_before or unused_since; nothing was deleted"}
	}
	q, err := h.query(ctx, filter)
	if err != nil {
		return nil, err
	}
	if isTrue(p.DryRun) {
		preview, err := h.previewAll(ctx, q)
		return wire.DeleteClients200JSONResponse(preview), err
	}
	if p.Confirm == nil {
		return nil, &problem{kind: malformed, detail: "first ask with dry_run=true, then send its answer's confirm; nothing was deleted"}
	}
	err = h.DB.Transact(ctx, func(ctx context.Context) error {
		ids, err := h.Clients.IDs(ctx, q)
		if err != nil {
			return err
		}
		if !hmac.Equal([]byte(*p.Confirm), []byte(h.confirmation(ids))) {
			return &problem{kind: changedSince, detail: "the filter finds other clients than in the dry run that gave this confirm; look at them again. Nothing was deleted"}
		}
		gone, err := h.Clients.DeleteAll(ctx, ids, actor(ctx), now())
		if err != nil {
			return err
		}
		return h.Audit.Record(ctx, deletions(gone)...)
	})
	if err != nil {
		return nil, err
	}
	return wire.DeleteClients204Response{}, nil
}

// previewAll says which clients a query finds, all of them from one moment.
func (h *Handler) previewAll(ctx context.Context, q clients.Query) (wire.BulkPreview, error) {
	preview := wire.BulkPreview{DryRun: true, ClientsDeleted: []wire.BulkDeleted{}}
	var ids []string
	err := h.DB.Transact(ctx, func(ctx context.Context) error {
		preview.ClientsDeleted, ids, q.After, q.Limit = []wire.BulkDeleted{}, nil, clients.Position{}, maxLimit
		for {
			found, err := h.Clients.Search(ctx, q)
			if err != nil {
				return err
			}
			for _, c := range found.Clients {
				preview.ClientsDeleted = append(preview.ClientsDeleted, wire.BulkDeleted{ID: c.ID, Name: c.Name, LastUsedAt: stampIf(c.LastUsedAt)})
				ids = append(ids, c.ID)
			}
			if found.Next == (clients.Position{}) {
				return nil
			}
			q.After = found.Next
		}
	})
	preview.Confirm = h.confirmation(ids)
	return preview, err
}

// confirmation stands for just these clients, in whatever order.
func (h *Handler) confirmation(ids []string) string {
	mac := hmac.New(sha256.New, h.CursorKey)
	mac.Write([]byte("delete " + strings.Join(slices.Sorted(slices.Values(ids)), " ")))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:macSize])
}

// deleteParameters are those that a DELETE knows. Whoever mistypes dry_run, or sends it where
// there is none, does not want to delete.
func deleteParameters(path string) []string {
	switch {
	case path == base+"/clients":
		return []string{"q", "section", "permission", "state", "expires_before", "unused_since", "dry_run", "confirm"}
	case path == base+"/session", strings.HasPrefix(path, base+"/sessions/"), strings.HasPrefix(path, base+"/alert-mutes/"):
		return nil
	}
	return []string{"dry_run"}
}

// unknownParameter is the name of a parameter that is not known, "" for none.
func unknownParameter(query url.Values, known []string) string {
	for name := range query {
		if !slices.Contains(known, name) {
			return name
		}
	}
	return ""
}
