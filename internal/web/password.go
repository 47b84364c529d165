package web

import (
	"net/http"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A passwordForm says what was wrong with a change of one's password.
type passwordForm struct {
	First bool // it was for one time
	Wrong map[string]string
}

func (h *Handler) passwordForm(w http.ResponseWriter, r *http.Request) error {
	return h.render(w, r, http.StatusOK, "password", "Choose a password", "", passwordForm{First: me(r.Context()).OneTimePassword})
}

func (h *Handler) changePassword(w http.ResponseWriter, r *http.Request) error {
	form := passwordForm{First: me(r.Context()).OneTimePassword}
	fresh := r.PostFormValue("new_password")
	var err error
	if fresh != r.PostFormValue("again") {
		form.Wrong = map[string]string{"again": "is not the same as the new password"}
	} else {
		err = done(h.api(r).ChangePassword(r.Context(), adminclient.PasswordChange{CurrentPassword: r.PostFormValue("current_password"), NewPassword: fresh}))
	}
	p := asProblem(err)
	switch {
	case p != nil && p.is("invalid"):
		form.Wrong = p.fields()
	case p != nil && p.is("too-many"):
		form.Wrong = map[string]string{"current_password": p.Error()}
	case err != nil:
		return err
	}
	if form.Wrong == nil {
		return seeOther(w, r, "/keys")
	}
	return h.render(w, r, http.StatusUnprocessableEntity, "password", "Choose a password", "", form)
}
