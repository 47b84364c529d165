package admin

import (
	"context"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/sections"
)

// Who may do what to admins is for permitted (auth.go) to say; package people records it.

func (h endpoints) admins() resource[people.Person, wire.Admin] {
	return resource[people.Person, wire.Admin]{
		Handler: h.Handler, list: "admins", one: h.People.Person, show: showAdmin,
		page: pointers(func(ctx context.Context, p sections.Page) ([]people.Person, error) {
			return h.People.List(ctx, people.Page{After: p.After, AfterID: p.AfterID, Limit: p.Limit})
		}),
		position: func(p *people.Person) (time.Time, string) { return p.CreatedAt, p.ID },
	}
}

func showAdmin(p *people.Person) wire.Admin {
	return wire.Admin{
		ID: p.ID, Email: p.Email, Role: wire.Role(p.Role), OneTimePassword: p.OneTimePassword,
		CreatedAt: stamp(p.CreatedAt), LastSignInAt: stampIf(p.LastSignInAt),
	}
}

// ListAdmins answers GET /admins.
func (h endpoints) ListAdmins(ctx context.Context, req wire.ListAdminsRequestObject) (wire.ListAdminsResponseObject, error) {
	items, next, err := h.admins().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	return wire.ListAdmins200JSONResponse{Items: items, Next: next}, nil
}

// CreateAdmin answers POST /admins.
func (h endpoints) CreateAdmin(ctx context.Context, req wire.CreateAdminRequestObject) (wire.CreateAdminResponseObject, error) {
	in, err := decode[wire.AdminCreate](req.Body)
	if err != nil {
		return nil, err
	}
	if err := once(ctx, h.DB); err != nil { // before the work of hashing; create asks again
		return nil, err
	}
	var password people.Password
	if in.Password != nil {
		password, err = h.People.NewPassword(ctx, in.Email, *in.Password)
	} else {
		password, err = h.People.OneTimePassword(ctx)
	}
	if err != nil {
		return nil, err
	}
	p := &people.Person{Email: in.Email, Role: people.Role(in.Role)}
	shown, tag, err := h.admins().create(ctx, p, func(ctx context.Context, p *people.Person) error {
		return h.People.Create(ctx, p, password, now())
	})
	if err != nil {
		return nil, err
	}
	return wire.CreateAdmin201JSONResponse{
		Body: wire.AdminCreated{
			ID: shown.ID, Email: shown.Email, Role: shown.Role, OneTimePassword: shown.OneTimePassword,
			CreatedAt: shown.CreatedAt, LastSignInAt: shown.LastSignInAt, Password: unlessEmpty(password.Reveal()),
		},
		Headers: wire.CreateAdmin201ResponseHeaders{ETag: tag, Location: h.admins().location(p)},
	}, nil
}

// ReadAdmin answers GET /admins/{id}.
func (h endpoints) ReadAdmin(ctx context.Context, req wire.ReadAdminRequestObject) (wire.ReadAdminResponseObject, error) {
	shown, tag, err := h.admins().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if ifNoneMatch(req.Params.IfNoneMatch, tag) {
		return wire.ReadAdmin304Response{Headers: wire.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return wire.ReadAdmin200JSONResponse{Body: shown, Headers: wire.ReadAdmin200ResponseHeaders{ETag: tag}}, nil
}

// UpdateAdmin answers PATCH /admins/{id}.
func (h endpoints) UpdateAdmin(ctx context.Context, req wire.UpdateAdminRequestObject) (wire.UpdateAdminResponseObject, error) {
	shown, tag, err := h.admins().update(ctx, req.ID, req.Params.IfMatch, func(ctx context.Context, p *people.Person) error {
		in, err := merge[wire.AdminPatch](struct {
			Role wire.Role `json:"role"`
		}{wire.Role(p.Role)}, req.Body)
		if err != nil {
			return err
		}
		p.Role = people.Role(in.Role)
		return h.People.SetRole(ctx, p.ID, p.Role, now())
	})
	if err != nil {
		return nil, err
	}
	return wire.UpdateAdmin200JSONResponse{Body: shown, Headers: wire.UpdateAdmin200ResponseHeaders{ETag: tag}}, nil
}

// DeleteAdmin answers DELETE /admins/{id}.
func (h endpoints) DeleteAdmin(ctx context.Context, req wire.DeleteAdminRequestObject) (wire.DeleteAdminResponseObject, error) {
	preview, err := h.admins().remove(ctx, req.ID, deleteParams(req.Params), func(ctx context.Context, p *people.Person) (wire.Preview, error) {
		return wire.Preview{Kind: wire.PreviewKindAdmin, ID: p.ID, Name: &p.Email}, h.People.Remove(ctx, p.ID, now())
	})
	switch {
	case err != nil:
		return nil, err
	case preview != nil:
		return wire.DeleteAdmin200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	return wire.DeleteAdmin204Response{}, nil
}

// ResetPassword answers POST /admins/{id}/reset-password.
func (h endpoints) ResetPassword(ctx context.Context, req wire.ResetPasswordRequestObject) (wire.ResetPasswordResponseObject, error) {
	if _, err := h.People.Person(ctx, req.ID); err != nil {
		return nil, err
	}
	if err := once(ctx, h.DB); err != nil {
		return nil, err
	}
	password, err := h.People.OneTimePassword(ctx)
	if err != nil {
		return nil, err
	}
	err = h.DB.Transact(ctx, func(ctx context.Context) error {
		if err := once(ctx, h.DB); err != nil {
			return err
		}
		if err := h.People.ResetPassword(ctx, req.ID, password, now()); err != nil {
			return err
		}
		return made(ctx, h.DB, req.ID)
	})
	if err != nil {
		return nil, err
	}
	return wire.ResetPassword200JSONResponse{Password: password.Reveal()}, nil
}
