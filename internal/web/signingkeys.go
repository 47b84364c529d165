package web

import (
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A signingKeyList is all signing keys, newest first, who fetches them, and the form for another.
type signingKeyList struct {
	Items    []adminclient.SigningKey
	Once     string // the Idempotency-Key of the form
	Made     string // the id of the key that was just made
	Fetchers []fetcher
	More     bool   // there are more fetchers
	AtOnce   string // what the form says of them
}

func (h *Handler) signingKeys(w http.ResponseWriter, r *http.Request) error {
	items, err := h.allSigningKeys(r)
	if err != nil {
		return err
	}
	list := signingKeyList{Items: items, Once: rand.Text(), Made: r.URL.Query().Get("made"), AtOnce: atOnce(parties(items))}
	if list.Fetchers, list.More, err = h.fetchers(r, items); err != nil {
		return err
	}
	return h.renderAs(w, r, http.StatusOK, "signing-keys", "signing-keys", "Signing keys", list)
}

func (h *Handler) allSigningKeys(r *http.Request) ([]adminclient.SigningKey, error) {
	items, err := all[adminclient.SigningKey](func(limit *int, cursor *string) (*http.Response, error) {
		return h.api(r).ListSigningKeys(r.Context(), &adminclient.ListSigningKeysParams{Limit: limit, Cursor: cursor})
	})
	slices.Reverse(items)
	return items, err
}

func (h *Handler) rotateSigningKey(w http.ResponseWriter, r *http.Request) error {
	body := adminclient.SigningKeyRotate{Alg: given(r.PostForm, "alg"), Now: new(r.PostForm.Get("when") == "now")}
	made, err := read[adminclient.SigningKey](h.api(r).RotateSigningKey(r.Context(), &adminclient.RotateSigningKeyParams{IdempotencyKey: given(r.PostForm, "once")}, body))
	if p := asProblem(err); p != nil && p.is("already-done") {
		return seeOther(w, r, "/signing-keys")
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/signing-keys?made="+made.Kid)
}

// A signingKeyDeletion is a signing key that somebody is about to delete.
type signingKeyDeletion struct {
	Key   adminclient.SigningKey
	Type  string // what is to be typed
	Wrong string
}

// typedLength is how much of a key's id is to be typed.
const typedLength = 6

func (h *Handler) deleteSigningKey(w http.ResponseWriter, r *http.Request) error {
	kid := mux.Vars(r)["kid"]
	items, err := h.allSigningKeys(r)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(items, func(k adminclient.SigningKey) bool { return k.Kid == kid })
	if i < 0 {
		return h.notFound(w, r)
	}
	page, status := signingKeyDeletion{Key: items[i], Type: kid[:min(typedLength, len(kid))]}, http.StatusOK
	if r.Method == http.MethodPost {
		if r.PostForm.Get("kid") == page.Type || r.PostForm.Get("kid") == kid {
			if err := done(h.api(r).DeleteSigningKey(r.Context(), kid, nil)); err != nil {
				return err
			}
			return seeOther(w, r, "/signing-keys")
		}
		page.Wrong, status = "That is not how its id begins. Nothing was deleted.", http.StatusUnprocessableEntity
	}
	return h.renderAs(w, r, status, "signing-key-delete", "signing-keys", "Delete a signing key", page)
}

// signingKeyState says in words where a signing key is in its life.
func signingKeyState(k adminclient.SigningKey, now time.Time) state {
	switch k.State {
	case "pending":
		if !k.ActivatesAt.After(now) {
			return state{"Signs soon", "warn"}
		}
		return state{"Signs " + ago(k.ActivatesAt, now), "warn"}
	case "active":
		return state{"Signs", "good"}
	}
	return state{"Retired", "off"}
}
