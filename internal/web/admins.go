package web

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// An adminList is all admins, and the form for one more.
type adminList struct {
	Items []adminclient.Admin
	Form  url.Values
	Once  string // the Idempotency-Key of the form
	Wrong map[string]string
	Other string // what went wrong beside the fields
}

func (h *Handler) admins(w http.ResponseWriter, r *http.Request) error {
	return h.showAdmins(w, r, http.StatusOK, adminList{Form: url.Values{"role": {"admin"}}})
}

func (h *Handler) showAdmins(w http.ResponseWriter, r *http.Request, status int, list adminList) error {
	var err error
	list.Once = rand.Text()
	list.Items, err = all[adminclient.Admin](func(limit *int, cursor *string) (*http.Response, error) {
		return h.api(r).ListAdmins(r.Context(), &adminclient.ListAdminsParams{Limit: limit, Cursor: cursor})
	})
	if err != nil {
		return err
	}
	return h.renderAs(w, r, status, "admins", "admins", "Admins", list)
}

// onAdmins is what doing something to an admin comes to: the list, with what went wrong if that
// can be told there.
func (h *Handler) onAdmins(w http.ResponseWriter, r *http.Request, err error) error {
	p := asProblem(err)
	switch {
	case err == nil, p != nil && p.is("already-done"):
		return seeOther(w, r, "/admins")
	case p != nil && (p.Status == http.StatusConflict || p.Status == http.StatusUnprocessableEntity):
		return h.showAdmins(w, r, p.Status, adminList{Form: url.Values{"role": {"admin"}}, Other: p.Error()})
	}
	return err
}

// A newPassword is a one-time password that is shown once.
type newPassword struct {
	Email, Password string
	First           bool // the admin is new
}

func (h *Handler) showPassword(w http.ResponseWriter, r *http.Request, status int, made newPassword) error {
	return h.renderAs(w, r, status, "admin-password", "admins", "Hand over the password now", made)
}

func (h *Handler) addAdmin(w http.ResponseWriter, r *http.Request) error {
	made, err := read[adminclient.AdminCreated](h.api(r).CreateAdmin(r.Context(), &adminclient.CreateAdminParams{IdempotencyKey: given(r.PostForm, "once")},
		adminclient.AdminCreate{Email: r.PostForm.Get("email"), Role: adminclient.Role(r.PostForm.Get("role"))}))
	p := asProblem(err)
	switch {
	case err == nil && made.Password != nil:
		return h.showPassword(w, r, http.StatusCreated, newPassword{made.Email, *made.Password, true})
	case p != nil && p.is("invalid"):
		return h.showAdmins(w, r, p.Status, adminList{Form: r.PostForm, Wrong: p.fields()})
	case p != nil && p.is("taken"):
		return h.showAdmins(w, r, p.Status, adminList{Form: r.PostForm, Wrong: map[string]string{"email": p.Error()}})
	}
	return h.onAdmins(w, r, err)
}

func (h *Handler) changeRole(w http.ResponseWriter, r *http.Request) error {
	role := adminclient.Role(r.PostForm.Get("role"))
	return h.onAdmins(w, r, done(h.api(r).UpdateAdmin(r.Context(), mux.Vars(r)["id"], nil, adminclient.AdminPatch{Role: &role})))
}

func (h *Handler) resetPassword(w http.ResponseWriter, r *http.Request) error {
	admin, err := read[adminclient.Admin](h.api(r).ReadAdmin(r.Context(), mux.Vars(r)["id"], nil))
	if err != nil {
		return err
	}
	made, err := read[adminclient.OneTimePassword](h.api(r).ResetPassword(r.Context(), admin.ID, &adminclient.ResetPasswordParams{IdempotencyKey: given(r.PostForm, "once")}))
	if err != nil {
		return h.onAdmins(w, r, err)
	}
	return h.showPassword(w, r, http.StatusOK, newPassword{Email: admin.Email, Password: made.Password})
}

// An adminRemoval is an admin whom somebody is about to remove.
type adminRemoval struct {
	Admin adminclient.Admin
	Typed string
	Wrong string
}

func (h *Handler) deleteAdmin(w http.ResponseWriter, r *http.Request) error {
	admin, err := read[adminclient.Admin](h.api(r).ReadAdmin(r.Context(), mux.Vars(r)["id"], nil))
	if err != nil {
		return err
	}
	page, status := adminRemoval{Admin: admin}, http.StatusOK
	if r.Method == http.MethodPost {
		page.Typed = r.PostForm.Get("email")
		if strings.EqualFold(strings.TrimSpace(page.Typed), admin.Email) {
			return h.onAdmins(w, r, done(h.api(r).DeleteAdmin(r.Context(), admin.ID, nil)))
		}
		page.Wrong, status = "That is not the e-mail. Nobody was removed.", http.StatusUnprocessableEntity
	}
	return h.renderAs(w, r, status, "admin-delete", "admins", "Remove "+admin.Email, page)
}
