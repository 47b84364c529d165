package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// An editForm is a key as somebody changes it.
type editForm struct {
	keyForm
	ID   string
	Tag  string // the entity tag of the key that was shown
	Gone bool   // somebody else changed it meanwhile
}

// A change is one thing that saving would do.
type change struct {
	What  string
	Gives []string
	Takes []string
}

// A summary is what saving would do, before it is done.
type summary struct {
	Key     adminclient.Client
	Changes []change
	Form    url.Values
}

func (h *Handler) editKey(w http.ResponseWriter, r *http.Request) error {
	key, tag, err := h.keyWithTag(r)
	if err != nil {
		return err
	}
	c, err := h.catalog(r)
	if err != nil {
		return err
	}
	values := url.Values{"name": {key.Name}, "description": {key.Description}}
	if key.ExpiresAt != nil {
		values.Set("expires_on", key.ExpiresAt.UTC().Format(time.DateOnly))
	}
	if key.TokenLifetime != nil {
		values.Set("token_lifetime", strconv.Itoa(*key.TokenLifetime))
	}
	planValues(key, values)
	return h.editForm(w, r, http.StatusOK, editForm{keyForm: keyForm{Grants: grantsOf(key, c), Values: values}, ID: key.ID, Tag: tag})
}

func (h *Handler) editForm(w http.ResponseWriter, r *http.Request, status int, form editForm) error {
	form.OwnLifetimes = lifetimes
	if own := form.Values.Get("token_lifetime"); !slices.ContainsFunc(lifetimes, func(l lifetime) bool { return l.Seconds == own }) {
		form.OwnLifetimes = append(slices.Clone(lifetimes), lifetime{own, own + " seconds"})
	}
	form.Grants.Wrong = form.Wrong
	return h.render(w, r, status, "key-edit", "Edit "+form.Values.Get("name"), "", form)
}

// keyWithTag reads a key and its entity tag.
func (h *Handler) keyWithTag(r *http.Request) (adminclient.Client, string, error) {
	answer, err := h.api(r).ReadClient(r.Context(), mux.Vars(r)["id"], nil)
	if err != nil {
		return adminclient.Client{}, "", err
	}
	tag := answer.Header.Get("ETag")
	key, err := read[adminclient.Client](answer, nil)
	return key, tag, err
}

// saveKey shows what saving would do, and does it when that is confirmed.
func (h *Handler) saveKey(w http.ResponseWriter, r *http.Request) error {
	key, _, err := h.keyWithTag(r)
	if err != nil {
		return err
	}
	c, err := h.catalog(r)
	if err != nil {
		return err
	}
	form := editForm{keyForm: keyForm{Grants: grantsIn(r.PostForm, c), Values: r.PostForm}, ID: key.ID, Tag: r.PostForm.Get("tag")}
	body, wrong := keyBody(r.PostForm, form.Grants)
	if len(wrong) > 0 {
		form.Wrong = wrong
		return h.editForm(w, r, http.StatusUnprocessableEntity, form)
	}
	if key.ExpiresAt != nil && body.ExpiresAt != nil && key.ExpiresAt.UTC().Format(time.DateOnly) == body.ExpiresAt.Format(time.DateOnly) {
		body.ExpiresAt = key.ExpiresAt // the day is the same, and the hour was not asked for
	}
	changes := differences(key, body)
	if r.PostForm.Get("confirmed") == "" && len(changes) > 0 && r.PostForm.Get("change") == "" {
		return h.render(w, r, http.StatusOK, "key-summary", "Save changes to "+key.Name, "", summary{key, changes, r.PostForm})
	}
	if r.PostForm.Get("change") != "" {
		return h.editForm(w, r, http.StatusOK, form)
	}
	err = done(h.api(r).UpdateClient(r.Context(), key.ID, &adminclient.UpdateClientParams{IfMatch: given(r.PostForm, "tag")}, patchOf(key, body)))
	p := asProblem(err)
	switch {
	case err == nil:
		return toKey(w, r)
	case p != nil && p.is("precondition-failed"):
		form.Gone = true
		_, form.Tag, err = h.keyWithTag(r)
		if err != nil {
			return err
		}
		return h.editForm(w, r, http.StatusConflict, form)
	case p != nil && p.is("invalid"):
		form.Wrong = wrongIn(form.keyForm, p)
		return h.editForm(w, r, http.StatusUnprocessableEntity, form)
	}
	return err
}

// patchOf is what makes of the key what was typed (RFC 7396).
func patchOf(key adminclient.Client, body adminclient.ClientCreate) adminclient.Patch {
	permissions := map[string]any{}
	for target := range key.Permissions {
		permissions[target] = nil
	}
	for target, actions := range body.Permissions {
		permissions[target] = actions
	}
	patch := adminclient.Patch{
		"name": body.Name, "description": body.Description, "sections": body.Sections, "permissions": permissions,
		"expires_at": body.ExpiresAt, "token_lifetime": body.TokenLifetime,
	}
	patchPlan(patch, body)
	return patch
}

// differences are what saving would do.
func differences(key adminclient.Client, body adminclient.ClientCreate) []change {
	var all []change
	add := func(what string, before, after []string) {
		c := change{What: what, Gives: without(after, before), Takes: without(before, after)}
		if len(c.Gives)+len(c.Takes) > 0 {
			all = append(all, c)
		}
	}
	add("Name", []string{key.Name}, []string{body.Name})
	add("Description", unlessEmpty(key.Description), unlessEmpty(*body.Description))
	add("Sections", named(key.Sections), named(body.Sections))
	add("Permissions", values(key.Permissions), values(body.Permissions))
	add("Ends", []string{exact(moment(key.ExpiresAt))}, []string{exact(moment(body.ExpiresAt))})
	before, after := planNames(key, body)
	add("Plan", []string{before}, []string{after})
	add("Its tokens live", []string{lifetimeName(key.TokenLifetime)}, []string{lifetimeName(body.TokenLifetime)})
	return all
}

func without(words, others []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(others, w) })
}

func unlessEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func named(ids []string) []string {
	if slices.Equal(ids, []string{"*"}) {
		return []string{"all Sections"}
	}
	return ids
}

// values are permissions one by one, in order.
func values(held adminclient.Permissions) (all []string) {
	for _, target := range slices.Sorted(maps.Keys(held)) {
		for _, action := range held[target] {
			all = append(all, target+":"+action)
		}
	}
	return all
}

func lifetimeName(seconds *int) string {
	if seconds == nil {
		return lifetimes[0].Name
	}
	text := strconv.Itoa(*seconds)
	for _, l := range lifetimes {
		if l.Seconds == text {
			return l.Name
		}
	}
	return text + " seconds"
}
