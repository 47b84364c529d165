package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/request"
)

//go:embed templates static
var files embed.FS

// templates are the pages by name, each with the layout and the parts that all share. They are
// parsed for the first page: every command would pay for it otherwise, and few serve pages.
var templates = sync.OnceValue(parse)

func parse() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/parts.html"))
	names, err := fs.Glob(files, "templates/pages/*.html")
	if err != nil {
		panic(err) // the pattern is ours
	}
	all := map[string]*template.Template{}
	for _, name := range names {
		page := template.Must(template.Must(shared.Clone()).ParseFS(files, name))
		all[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return all
}

// A view is what a page is made of: what every page needs, and what it is about.
type view struct {
	Title   string
	Page    string // its place in the menu
	Me      people.Person
	Issuer  string
	Version string
	Path    string // of this page
	Alerts  string // how many are open, "" for none
	Data    any
}

// May says whether who is signed in may change things; admins says: other admins too.
func (v view) May() bool      { return v.Me.Role == people.Owner || v.Me.Role == people.Admin }
func (v view) IsOwner() bool  { return v.Me.Role == people.Owner }
func (v view) SignedIn() bool { return v.Me.ID != "" }

// render answers with a page; part names the template of the part that htmx asked for, if a part
// is enough.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, status int, page, title, part string, data any) error {
	menu, _, _ := strings.Cut(page, "-")
	if menu == "key" || menu == "secret" {
		menu = "keys"
	}
	return h.renderPart(w, r, status, page, menu, title, part, data)
}

// renderAs answers with a page that has the place menu in the menu.
func (h *Handler) renderAs(w http.ResponseWriter, r *http.Request, status int, page, menu, title string, data any) error {
	return h.renderPart(w, r, status, page, menu, title, "", data)
}

func (h *Handler) renderPart(w http.ResponseWriter, r *http.Request, status int, page, menu, title, part string, data any) error {
	v := view{
		Title: title, Page: menu, Me: me(r.Context()), Issuer: h.Issuer, Version: h.Version, Path: r.URL.Path, Data: data,
		Alerts: h.OpenAlerts.label(r.Context(), me(r.Context())),
	}
	name := "layout"
	if part != "" && r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Target") == part {
		name = part
	}
	var text bytes.Buffer // a page that goes wrong in its middle is not begun
	if err := templates()[page].ExecuteTemplate(&text, name, v); err != nil {
		return fmt.Errorf("render %s: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "HX-Request")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // a reader that went away needs no page
	return nil
}

// An oops is an error that people are told.
type oops struct {
	status       int
	title, cause string
}

func (o *oops) Error() string { return o.title + ": " + o.cause }

// A failure is what the page about an error shows.
type failure struct {
	Status    int
	Title     string
	Cause     string
	RequestID string
}

// fail answers with a page about the error, and leaves its cause in the log.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := failure{Status: http.StatusInternalServerError, Title: "Something went wrong here", Cause: "The server's log says why under the request id."}
	if o, ok := errors.AsType[*oops](err); ok {
		f.Status, f.Title, f.Cause = o.status, o.title, o.cause
	} else if p := asProblem(err); p != nil {
		f.Status, f.Title, f.Cause = p.Status, p.Title, p.Error()
	}
	if f.Status == http.StatusUnauthorized { // it ended while the page was open
		_ = h.signInFirst(w, r) // it only redirects
		return
	}
	f.RequestID = request.ID(r.Context())
	request.Note(r.Context(), slog.String("cause", err.Error()))
	if err := h.render(w, r, f.Status, "failure", f.Title, "", f); err != nil {
		http.Error(w, f.Title, f.Status)
	}
}

func (h *Handler) notFound(http.ResponseWriter, *http.Request) error {
	return &oops{http.StatusNotFound, "There is no such page", "It may have been deleted, or the address is not quite right."}
}

// methodNotAllowed answers the methods that a page has not.
func (h *Handler) methodNotAllowed(allow string) http.Handler {
	return h.page(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", allow)
		return &oops{http.StatusMethodNotAllowed, "That cannot be done here", "This page knows only " + allow + "."}
	})
}

// An asset is a script, a style or a picture, with a name that changes with what it is.
type asset struct {
	name, contentType string
	text              []byte
	zipped            func() []byte // compressed when it is first asked for
}

// assets are all of them, by path below /admin/static/ and by file name.
var assets, assetPaths = loadAssets()

func loadAssets() (byPath map[string]asset, paths map[string]string) {
	byPath, paths = map[string]asset{}, map[string]string{}
	names, err := fs.Glob(files, "static/*")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it was found
		}
		sum := sha256.Sum256(text)
		file := path.Base(name)
		at := base + "/static/" + base64.RawURLEncoding.EncodeToString(sum[:9]) + "/" + file
		byPath[at] = asset{file, mime.TypeByExtension(path.Ext(file)), text, sync.OnceValue(func() []byte { return zip(text) })}
		paths[file] = at
	}
	return byPath, paths
}

// static answers with an asset, which browsers may keep for ever.
func static(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Vary", "Accept-Encoding")
	text := a.text
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		text = a.zipped()
	}
	_, _ = w.Write(text) // a reader that went away needs nothing
}

// zip compresses an asset, once. Pages are not compressed: they hold what others wrote beside what
// is secret (BREACH).
func zip(text []byte) []byte {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // it is in memory
	}
	return zipped.Bytes()
}
