package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A keyPage is what the page of one key shows.
type keyPage struct {
	Key      adminclient.Client
	Secrets  []secretRow
	Rotating bool // there are two live Secrets
	Usage    usage
	Limits   adminclient.ClientLimits
	Seen     seen
	Refusals []adminclient.Refusal
	Events   []adminclient.AuditEvent
	Again    bool // the form that made it was sent once more
	Wrong    string
}

// A secretRow is a Secret with how it is used.
type secretRow struct {
	adminclient.SecretInUse
	Live  bool
	Old   bool // the older of two live ones
	Quiet bool // it got no token in the last day
}

func (h *Handler) key(w http.ResponseWriter, r *http.Request) error {
	return h.showKey(w, r, http.StatusOK, "")
}

// showKey answers with the page of a key, and what went wrong with something done there.
func (h *Handler) showKey(w http.ResponseWriter, r *http.Request, status int, wrong string) error {
	id, api, ctx := mux.Vars(r)["id"], h.api(r), r.Context()
	page := keyPage{Again: r.URL.Query().Get("again") != "", Wrong: wrong}
	var err error
	if page.Key, err = read[adminclient.Client](api.ReadClient(ctx, id, nil)); err != nil {
		return err
	}
	secrets, err := read[adminclient.SecretList](api.ListSecrets(ctx, id, nil))
	if err != nil {
		return err
	}
	page.Secrets = secretRows(secrets.Items, time.Now())
	page.Rotating = live(page.Secrets) == 2
	if page.Usage, err = h.usage(r, id); err != nil {
		return err
	}
	if page.Limits, err = read[adminclient.ClientLimits](api.ReadClientLimits(ctx, id)); err != nil {
		return err
	}
	if page.Seen, err = h.seen(r, id); err != nil {
		return err
	}
	refusals, err := read[adminclient.RefusalList](api.ListClientRefusals(ctx, id, &adminclient.ListClientRefusalsParams{Limit: new(10)}))
	if err != nil {
		return err
	}
	events, err := read[adminclient.AuditEventList](api.ListAuditEvents(ctx, &adminclient.ListAuditEventsParams{Client: &id, Limit: new(10)}))
	if err != nil {
		return err
	}
	page.Refusals, page.Events = refusals.Items, events.Items
	return h.render(w, r, status, "key", page.Key.Name, "secrets", page)
}

// usage is how a key was used, as far back as the request says.
func (h *Handler) usage(r *http.Request, id string) (usage, error) {
	chosen, all := chosenRange(r.URL.Query().Get("usage"))
	counted, err := read[adminclient.Usage](h.api(r).ReadUsage(r.Context(), id, chosen.params(time.Now())))
	if err != nil {
		return usage{}, err
	}
	u, err := usageOf(counted)
	u.Range, u.Ranges = chosen.Name, all
	return u, err
}

func secretRows(secrets []adminclient.SecretInUse, now time.Time) []secretRow {
	var rows []secretRow
	for _, s := range secrets {
		row := secretRow{SecretInUse: s, Live: s.ExpiresAt == nil || now.Before(*s.ExpiresAt)}
		row.Quiet = s.LastUsedAt == nil || now.Sub(*s.LastUsedAt) > 24*time.Hour
		rows = append(rows, row)
	}
	for i := range rows {
		rows[i].Old = rows[i].Live && i+1 < len(rows) && live(rows[i+1:]) > 0
	}
	return rows
}

func live(rows []secretRow) (n int) {
	for _, row := range rows {
		if row.Live {
			n++
		}
	}
	return n
}

// toKey goes back to the page of the key.
func toKey(w http.ResponseWriter, r *http.Request) error {
	return seeOther(w, r, "/keys/"+url.PathEscape(mux.Vars(r)["id"]))
}

// onKey is what doing something to a key comes to: its page, with what went wrong if that can be
// told there.
func (h *Handler) onKey(w http.ResponseWriter, r *http.Request, err error) error {
	p := asProblem(err)
	switch {
	case err == nil:
		return toKey(w, r)
	case p != nil && (p.Status == http.StatusConflict || p.Status == http.StatusUnprocessableEntity):
		return h.showKey(w, r, p.Status, p.Error())
	}
	return err
}

// addSecret gives a key a second Secret, and shows it once.
func (h *Handler) addSecret(w http.ResponseWriter, r *http.Request) error {
	id, api, ctx := mux.Vars(r)["id"], h.api(r), r.Context()
	body := adminclient.SecretCreate{}
	if text := r.PostForm.Get("overlap"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return &oops{http.StatusBadRequest, "The form could not be read", "Go back and send it again."}
		}
		body.Overlap = &seconds
	}
	key, err := read[adminclient.Client](api.ReadClient(ctx, id, nil))
	if err != nil {
		return err
	}
	made, err := read[adminclient.SecretCreated](api.AddSecret(ctx, id, &adminclient.AddSecretParams{IdempotencyKey: given(r.PostForm, "once")}, body))
	if p := asProblem(err); p != nil && p.is("already-done") {
		return toKey(w, r)
	}
	if err != nil {
		return h.onKey(w, r, err)
	}
	return h.render(w, r, http.StatusCreated, "secret", "Store the Secret now", "", h.madeSecret(id, key.Name, made.ClientSecret, false))
}

func (h *Handler) revokeSecret(w http.ResponseWriter, r *http.Request) error {
	vars := mux.Vars(r)
	return h.onKey(w, r, done(h.api(r).DeleteSecret(r.Context(), vars["id"], vars["secret"], nil)))
}

func (h *Handler) cancelRotation(w http.ResponseWriter, r *http.Request) error {
	return h.onKey(w, r, done(h.api(r).CancelRotation(r.Context(), mux.Vars(r)["id"], nil)))
}

func (h *Handler) revokeTokens(w http.ResponseWriter, r *http.Request) error {
	return h.onKey(w, r, done(h.api(r).RevokeTokens(r.Context(), mux.Vars(r)["id"], nil)))
}

// switchKey disables a key, or enables it again.
func (h *Handler) switchKey(w http.ResponseWriter, r *http.Request) error {
	patch := adminclient.Patch{"disabled": r.PostForm.Get("disabled") == "true"}
	return h.onKey(w, r, done(h.api(r).UpdateClient(r.Context(), mux.Vars(r)["id"], nil, patch)))
}

// keepKey lets a key be kept although nobody uses it, or no more.
func (h *Handler) keepKey(w http.ResponseWriter, r *http.Request) error {
	patch := adminclient.Patch{"keep_unused": r.PostForm.Get("keep") == "true"}
	return h.onKey(w, r, done(h.api(r).UpdateClient(r.Context(), mux.Vars(r)["id"], nil, patch)))
}

// resumeKey lets a key get tokens again that nobody used.
func (h *Handler) resumeKey(w http.ResponseWriter, r *http.Request) error {
	return h.onKey(w, r, done(h.api(r).ResumeClient(r.Context(), mux.Vars(r)["id"], nil)))
}

// A deletion is a key that somebody is about to delete.
type deletion struct {
	Key   adminclient.Client
	Typed string
	Wrong string
}

func (h *Handler) deleteKeyForm(w http.ResponseWriter, r *http.Request) error {
	key, err := read[adminclient.Client](h.api(r).ReadClient(r.Context(), mux.Vars(r)["id"], nil))
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, "key-delete", "Delete "+key.Name, "", deletion{Key: key})
}

func (h *Handler) deleteKey(w http.ResponseWriter, r *http.Request) error {
	key, err := read[adminclient.Client](h.api(r).ReadClient(r.Context(), mux.Vars(r)["id"], nil))
	if err != nil {
		return err
	}
	if typed := r.PostForm.Get("name"); typed != key.Name {
		return h.render(w, r, http.StatusUnprocessableEntity, "key-delete", "Delete "+key.Name, "",
			deletion{Key: key, Typed: typed, Wrong: "That is not its name. Nothing was deleted."})
	}
	if err := done(h.api(r).DeleteClient(r.Context(), key.ID, nil)); err != nil {
		return err
	}
	return seeOther(w, r, "/keys")
}
