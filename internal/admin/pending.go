package admin

import (
	"context"
	"errors"

	"github.com/wardkey/wardkey/internal/admin/wire"
)

var errPending = errors.New("not built yet")

func (h endpoints) ListAdmins(ctx context.Context, req wire.ListAdminsRequestObject) (wire.ListAdminsResponseObject, error) {
	return nil, errPending
}

func (h endpoints) CreateAdmin(ctx context.Context, req wire.CreateAdminRequestObject) (wire.CreateAdminResponseObject, error) {
	return nil, errPending
}

func (h endpoints) DeleteAdmin(ctx context.Context, req wire.DeleteAdminRequestObject) (wire.DeleteAdminResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ReadAdmin(ctx context.Context, req wire.ReadAdminRequestObject) (wire.ReadAdminResponseObject, error) {
	return nil, errPending
}

func (h endpoints) UpdateAdmin(ctx context.Context, req wire.UpdateAdminRequestObject) (wire.UpdateAdminResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ResetPassword(ctx context.Context, req wire.ResetPasswordRequestObject) (wire.ResetPasswordResponseObject, error) {
	return nil, errPending
}

func (h endpoints) DeleteClients(ctx context.Context, req wire.DeleteClientsRequestObject) (wire.DeleteClientsResponseObject, error) {
	return nil, errPending
}

func (h endpoints) CancelRotation(ctx context.Context, req wire.CancelRotationRequestObject) (wire.CancelRotationResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ListClientRefusals(ctx context.Context, req wire.ListClientRefusalsRequestObject) (wire.ListClientRefusalsResponseObject, error) {
	return nil, errPending
}

func (h endpoints) RevokeTokens(ctx context.Context, req wire.RevokeTokensRequestObject) (wire.RevokeTokensResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ListSecretAddresses(ctx context.Context, req wire.ListSecretAddressesRequestObject) (wire.ListSecretAddressesResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ListDeletedClients(ctx context.Context, req wire.ListDeletedClientsRequestObject) (wire.ListDeletedClientsResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ReadDeletedClient(ctx context.Context, req wire.ReadDeletedClientRequestObject) (wire.ReadDeletedClientResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ListRefusals(ctx context.Context, req wire.ListRefusalsRequestObject) (wire.ListRefusalsResponseObject, error) {
	return nil, errPending
}

func (h endpoints) SignOut(ctx context.Context, req wire.SignOutRequestObject) (wire.SignOutResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ReadSession(ctx context.Context, req wire.ReadSessionRequestObject) (wire.ReadSessionResponseObject, error) {
	return nil, errPending
}

func (h endpoints) SignIn(ctx context.Context, req wire.SignInRequestObject) (wire.SignInResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ChangePassword(ctx context.Context, req wire.ChangePasswordRequestObject) (wire.ChangePasswordResponseObject, error) {
	return nil, errPending
}

func (h endpoints) ListSessions(ctx context.Context, req wire.ListSessionsRequestObject) (wire.ListSessionsResponseObject, error) {
	return nil, errPending
}

func (h endpoints) RevokeSession(ctx context.Context, req wire.RevokeSessionRequestObject) (wire.RevokeSessionResponseObject, error) {
	return nil, errPending
}
