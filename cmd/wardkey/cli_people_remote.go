package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// remoteAdmins are those behind the admin API.
type remoteAdmins struct{ *adminAPI }

func (a remoteAdmins) all(ctx context.Context, limit int) (page[adminclient.Admin], error) {
	return pages[adminclient.Admin](limit, func(p *pageParams) (*http.Response, error) {
		return a.ListAdmins(ctx, (*adminclient.ListAdminsParams)(p))
	})
}

func (a remoteAdmins) create(ctx context.Context, in adminclient.AdminCreate) (adminclient.AdminCreated, error) {
	made, _, err := fetch[adminclient.AdminCreated](a.CreateAdmin(ctx, nil, in))
	return made, err
}

func (a remoteAdmins) setRole(ctx context.Context, id string, role adminclient.Role) (adminclient.Admin, error) {
	admin, _, err := fetch[adminclient.Admin](a.UpdateAdmin(ctx, id, nil, adminclient.AdminPatch{Role: &role}))
	return admin, err
}

func (a remoteAdmins) resetPassword(ctx context.Context, id string) (string, error) {
	made, _, err := fetch[adminclient.OneTimePassword](a.ResetPassword(ctx, id, nil))
	return made.Password, err
}

func (a remoteAdmins) remove(ctx context.Context, id string) error {
	_, _, err := fetch[struct{}](a.DeleteAdmin(ctx, id, nil))
	return err
}

func (a remoteAdmins) sessions(ctx context.Context, adminID string, limit int) (page[adminclient.Session], error) {
	return pages[adminclient.Session](limit, func(p *pageParams) (*http.Response, error) {
		return a.ListSessions(ctx, &adminclient.ListSessionsParams{Admin: unlessEmpty(adminID), Limit: p.Limit, Cursor: p.Cursor})
	})
}

func (a remoteAdmins) endSession(ctx context.Context, id string) error {
	_, _, err := fetch[struct{}](a.RevokeSession(ctx, id))
	if isProblem(err, "not-found") {
		return fmt.Errorf("there is no session %s, or no more; see wardkey admin sessions", quote(id))
	}
	return err
}
