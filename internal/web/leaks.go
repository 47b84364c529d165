package web

import (
	"net/http"
	"regexp"
	"slices"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A leakPage is where leaked Secrets are revoked. What was pasted is not in it.
type leakPage struct {
	Items []adminclient.LeakOutcome
	Wrong string
}

// leaked is what looks like a Secret within a text.
var leaked = regexp.MustCompile(`wks_[0-9A-Za-z]*`)

// maxLeaks is how many Secrets the API takes at once.
const maxLeaks = 500

func (h *Handler) leakForm(w http.ResponseWriter, r *http.Request) error {
	return h.render(w, r, http.StatusOK, "troubleshoot-leaked", "Revoke leaked Secrets", "", leakPage{})
}

// revokeLeaked revokes the Secrets in a text, whosever they are.
func (h *Handler) revokeLeaked(w http.ResponseWriter, r *http.Request) error {
	found := leaked.FindAllString(r.PostForm.Get("secrets"), -1)
	slices.Sort(found)
	found = slices.Compact(found)
	wrong := ""
	switch {
	case len(found) == 0:
		wrong = "There is no Secret in it: none begins with wks_. Nothing was revoked."
	case len(found) > maxLeaks:
		wrong = "There are more than 500 in it. Paste fewer at once, or use the command line: wardkey leak revoke. Nothing was revoked."
	}
	if wrong != "" {
		return h.render(w, r, http.StatusUnprocessableEntity, "troubleshoot-leaked", "Revoke leaked Secrets", "", leakPage{Wrong: wrong})
	}
	done, err := read[adminclient.LeakOutcomes](h.api(r).ReportLeakedSecrets(r.Context(), nil,
		adminclient.LeakReport{Secrets: found, FoundAt: given(r.PostForm, "found_at")}))
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, "troubleshoot-leaked", "Revoke leaked Secrets", "", leakPage{Items: done.Items})
}

// outcomeState is what became of a leaked Secret, in a word, and how that looks.
func outcomeState(o adminclient.LeakOutcome) state {
	switch string(o.Outcome) {
	case "revoked":
		return state{"Revoked", "good"}
	case "ended":
		return state{"Ended before", "off"}
	case "not_ours":
		return state{"Of no key here", "off"}
	}
	return state{"Cut or mistyped", "warn"}
}
