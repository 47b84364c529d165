package oauth

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/tokens"
)

// statusList answers GET /oauth/status/{n} (Token Status List §8.1), from memory.
func (h *Handler) statusList(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("time") { // Token Status List §8.4
		fail(w, r, &Error{Code: InvalidRequest, Status: http.StatusNotImplemented, Description: "only the list of this moment is kept; leave time away"})
		return
	}
	name := mux.Vars(r)["n"]
	n, err := strconv.ParseUint(name, 10, 62)
	if err != nil || strconv.FormatUint(n, 10) != name { // a list has one address, which it names
		fail(w, r, noList)
		return
	}
	list, err := h.StatusLists.Token(r.Context(), int64(n))
	switch {
	case errors.Is(err, tokens.ErrNoList):
		fail(w, r, noList)
	case err != nil:
		fail(w, r, &Error{Code: TemporarilyUnavailable, Description: "the status list cannot be read now; try again soon", Cause: err})
	default:
		h.writeStatusList(w, r, list)
	}
}

var noList = &Error{Code: NotFound, Status: http.StatusNotFound, Description: "there is no such status list; tokens name theirs in status.status_list.uri"}

func (h *Handler) writeStatusList(w http.ResponseWriter, r *http.Request, list *tokens.StatusListToken) {
	header := w.Header()
	header.Set("Vary", "Accept-Encoding")
	// A cache on the way may keep it for a part of the ttl only, as what it adds comes on top.
	if unchanged(w, r, list.ETag, h.StatusLists.TTL/5) {
		return
	}
	header.Set("Content-Type", tokens.StatusListType)
	document := list.JWT
	if quality(r.Header.Values("Accept-Encoding"), "gzip") > 0 {
		document = list.Gzip
		header.Set("Content-Encoding", "gzip")
	}
	_, _ = w.Write(document) // a client that went away needs no answer
}

// statusListAggregation answers GET /oauth/status (Token Status List §9.3): where all lists are.
func (h *Handler) statusListAggregation(w http.ResponseWriter, r *http.Request) {
	count, err := h.StatusLists.Count(r.Context())
	if err != nil {
		fail(w, r, &Error{Code: TemporarilyUnavailable, Description: "the store does not answer; try again soon", Cause: err})
		return
	}
	lists := make([]string, count)
	for n := range lists {
		lists[n] = h.Issuer.StatusURI(int64(n))
	}
	writeJSON(w, http.StatusOK, map[string][]string{"status_lists": lists})
}

// quality is what a header like Accept or Accept-Encoding says of what is on offer: from 0, not to
// be sent, to 1 (RFC 9110 §12.4.2). What it does not name is 0.
func quality(header []string, offer string) float64 {
	for value := range strings.SplitSeq(strings.Join(header, ","), ",") {
		name, parameters, _ := strings.Cut(value, ";")
		if strings.EqualFold(strings.TrimSpace(name), offer) {
			return weight(parameters)
		}
	}
	return 0
}

func weight(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if q, err := strconv.ParseFloat(value, 64); strings.EqualFold(name, "q") && err == nil {
			return q
		}
	}
	return 1
}
