package web

import (
	"crypto/rand"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A keyForm is a new key as it is typed.
type keyForm struct {
	Grants       grants
	Values       url.Values
	Wrong        map[string]string
	Other        string // what is wrong beside the fields
	Once         string // the Idempotency-Key of this form
	Tomorrow     string // the first day on which a key may end
	OwnLifetimes []lifetime
}

// A lifetime of tokens that a form offers.
type lifetime struct {
	Seconds string
	Name    string
}

// lifetimes that forms offer. Some older clients want more than an hour.
var lifetimes = []lifetime{{"", "As the server has it"}, {"300", "5 minutes"}, {"900", "15 minutes"}, {"3600", "1 hour"}, {"7200", "2 hours"}, {"86400", "24 hours"}}

func (h *Handler) newKey(w http.ResponseWriter, r *http.Request) error {
	c, err := h.catalog(r)
	if err != nil {
		return err
	}
	values := url.Values{"preset": {presetCustom}, "sections": {"some"}}
	return h.keyForm(w, r, http.StatusOK, keyForm{Grants: grantsIn(values, c), Values: values, Once: rand.Text()})
}

func (h *Handler) keyForm(w http.ResponseWriter, r *http.Request, status int, form keyForm) error {
	form.Tomorrow = time.Now().Add(24 * time.Hour).UTC().Format(time.DateOnly)
	form.OwnLifetimes = lifetimes
	form.Grants.Wrong = form.Wrong
	return h.render(w, r, status, "key-new", "Add API key", "", form)
}

// addKey makes a key, and shows its Secret in the one answer that has it. Sent again, as by a
// reload, it makes no second one and shows nothing.
func (h *Handler) addKey(w http.ResponseWriter, r *http.Request) error {
	c, err := h.catalog(r)
	if err != nil {
		return err
	}
	form := keyForm{Grants: grantsIn(r.PostForm, c), Values: r.PostForm, Once: r.PostForm.Get("once")}
	body, wrong := keyBody(r.PostForm, form.Grants)
	if len(wrong) > 0 {
		form.Wrong = wrong
		return h.keyForm(w, r, http.StatusUnprocessableEntity, form)
	}
	made, err := read[adminclient.ClientCreated](h.api(r).CreateClient(r.Context(), &adminclient.CreateClientParams{IdempotencyKey: given(r.PostForm, "once")}, body))
	if err == nil {
		return h.render(w, r, http.StatusCreated, "secret", "Store the Secret now", "", h.madeSecret(made.ID, made.Name, made.ClientSecret, true))
	}
	p := asProblem(err)
	switch {
	case p == nil:
		return err
	case p.is("already-done") && p.Made != nil:
		return seeOther(w, r, "/keys/"+url.PathEscape(*p.Made)+"?again=1")
	case p.is("key-reused"):
		form.Once = rand.Text()
		form.Other = "This form was sent before with other contents, and an API key was made. If you want a second one, send it again."
	case p.is("invalid"):
		form.Wrong = wrongIn(form, p)
	default:
		return err
	}
	return h.keyForm(w, r, http.StatusUnprocessableEntity, form)
}

// wrongIn is what is wrong with a key that was typed, in the words of the form.
func wrongIn(form keyForm, p *problem) map[string]string {
	wrong := p.fields()
	if wrong["sections"] != "" && len(form.Grants.sections()) == 0 {
		wrong["sections"] = "choose at least one Section, or all of them; only a key whose permissions are all capabilities, or for this server itself, needs none"
	}
	return wrong
}

// keyBody is what the API is to be told, and what of the form cannot be told.
func keyBody(form url.Values, g grants) (adminclient.ClientCreate, map[string]string) {
	wrong := map[string]string{}
	body := adminclient.ClientCreate{
		Name: form.Get("name"), Description: new(form.Get("description")), Sections: g.sections(), Permissions: g.permissions(),
	}
	var err error
	if body.ExpiresAt, err = expiry(form.Get("expires_on")); err != nil {
		wrong["expires_at"] = err.Error()
	}
	if seconds := form.Get("token_lifetime"); seconds != "" {
		n, err := strconv.Atoi(seconds)
		if err != nil {
			wrong["token_lifetime"] = "must be a number of seconds"
		}
		body.TokenLifetime = &n
	}
	if err := planIn(form, &body); err != nil {
		wrong["limits"] = err.Error()
	}
	return body, wrong
}

// expiry is the end of a day, in UTC; nil for never.
func expiry(day string) (*time.Time, error) {
	if day == "" {
		return nil, nil
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return nil, fmt.Errorf("must be a day, as %s", time.Now().Format(time.DateOnly))
	}
	return new(t.Add(24*time.Hour - time.Second)), nil
}

// A newSecret is what the page shows that shows a Secret, once.
type newSecret struct {
	ID, Name, Secret string
	First            bool // it is that of a new key
	TokenEndpoint    string
	EnvFile          template.URL
}

func (h *Handler) madeSecret(id, name, secret string, first bool) newSecret {
	env := fmt.Sprintf("WARDKEY_URL=%s\nWARDKEY_CLIENT_ID=%s\nWARDKEY_CLIENT_SECRET=%s\n", h.Issuer, id, secret)
	return newSecret{
		ID: id, Name: name, Secret: secret, First: first, TokenEndpoint: h.Issuer + "/oauth/token",
		EnvFile: template.URL("data:text/plain;charset=utf-8," + url.PathEscape(env)), //nolint:gosec // escaped above; it stays in the page
	}
}
