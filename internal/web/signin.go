package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/request"
)

// A signInForm is what somebody typed, and what was wrong with it.
type signInForm struct {
	Email, Back, Wrong string
}

func (h *Handler) signInForm(w http.ResponseWriter, r *http.Request) error {
	if people.Current(r.Context()) != nil {
		return seeOther(w, r, "/keys")
	}
	return h.render(w, r, http.StatusOK, "sign-in", "Sign in", "", signInForm{Back: back(r)})
}

// back is the page of ours to go to after signing in. An address elsewhere is not gone to.
func back(r *http.Request) string {
	to := r.FormValue("back")
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(to, base+"/") ||
		strings.ContainsAny(to, "\\\r\n\t") || strings.HasPrefix(u.Path, base+"/sign-") {
		return ""
	}
	return to
}

func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) error {
	form := signInForm{Email: r.PostFormValue("email"), Back: back(r)}
	ctx := audit.With(r.Context(), audit.Origin{
		Actor: audit.Actor{Kind: audit.Nobody}, IP: request.Address(r), RequestID: request.ID(r.Context()),
	})
	signedIn, err := h.Sessions.SignIn(ctx, people.Attempt{
		Email: form.Email, Password: r.PostFormValue("password"), Address: request.Address(r), UserAgent: r.UserAgent(),
	})
	status := http.StatusUnauthorized
	tooSoon, isTooSoon := errors.AsType[people.TooSoon](err)
	switch {
	case err == nil:
		http.SetCookie(w, signedIn.Cookie)
		return seeOther(w, r, strings.TrimPrefix(orElse(form.Back, base+"/keys"), base))
	case isTooSoon:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(tooSoon.RetryAfter.Seconds()))) // RFC 9110 §10.2.3; it is whole
		form.Wrong = "Too many tries in a row. Try again in " + tooSoon.RetryAfter.Round(time.Second).String() + "."
	case errors.Is(err, people.ErrBusy):
		status = http.StatusTooManyRequests
		form.Wrong = "Many people are signing in just now. Try again in a few seconds."
	case errors.Is(err, people.ErrSignIn):
		form.Wrong = "The e-mail or the password is wrong."
	default:
		return err
	}
	return h.render(w, r, status, "sign-in", "Sign in", "", form)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (h *Handler) signOut(w http.ResponseWriter, r *http.Request) error {
	ctx := audit.With(r.Context(), audit.Origin{
		Actor: me(r.Context()).Actor(), IP: request.Address(r), RequestID: request.ID(r.Context()),
	})
	if err := h.Sessions.SignOut(ctx); err != nil {
		return err
	}
	http.SetCookie(w, h.Sessions.NoCookie())
	return seeOther(w, r, "/sign-in")
}
