package rscheck

import (
	"slices"

	"github.com/wardkey/wardkey/internal/attacks"
)

// A Result is what became of one attack.
type Result struct {
	Name         string          `json:"name"`
	Outcome      Outcome         `json:"result"`
	Gravity      attacks.Gravity `json:"gravity,omitempty"` // of what failed
	Requirements []string        `json:"requirements"`
	Sent         string          `json:"sent"`
	Wanted       string          `json:"wanted"`
	Detail       string          `json:"detail"` // what came back, or why nothing was sent
	Status       int             `json:"status,omitempty"`
	Challenge    string          `json:"www_authenticate,omitempty"`
	Risk         string          `json:"risk,omitempty"` // of what failed
	Fix          string          `json:"fix,omitempty"`

	about subject
}

// A Report is what a service did about all that was sent.
type Report struct {
	URL       string   `json:"url"`
	Framework string   `json:"framework"` // what it seems to be built with; empty: unknown
	Grade     string   `json:"grade"`     // A to F; empty: it refuses good tokens
	Results   []Result `json:"results"`
}

// Sound says whether nothing grave was found.
func (r *Report) Sound() bool { return slices.Contains([]string{"A", "B", "C"}, r.Grade) }

// Count says how many attacks ended so, of a gravity if it is not empty.
func (r *Report) Count(o Outcome, g attacks.Gravity) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == o && (g == "" || result.Gravity == g) {
			n++
		}
	}
	return n
}

// unusable says whether good tokens are refused.
func (r *Report) unusable() bool {
	return len(r.Results) > 0 && r.Results[0].Name == baseline && r.Results[0].Outcome != Passed
}

// add adds a result, with what is known of the attack.
func (r *Report) add(a attacks.Attack, result Result) {
	result.Name, result.Requirements, result.Sent, result.Wanted = a.Name, a.Requirements, a.Sends, wanted[a.Want]
	if result.Outcome == Failed || result.Outcome == Noted {
		result.Risk = a.Risk
		if result.about != topic(a.Name) {
			result.Risk = risks[result.about]
		}
	}
	r.Results = append(r.Results, result)
}

// finish says what to change, once it is known where, and the grade.
func (r *Report) finish(facts Facts) {
	for i := range r.Results {
		if about := r.Results[i].about; about != "" {
			r.Results[i].Fix = facts.fix(r.Framework, about)
		}
	}
	r.Grade = r.grade()
}

// grade follows the rule of the package comment.
func (r *Report) grade() string {
	serious, minor := r.Count(Failed, attacks.Serious), r.Count(Failed, attacks.Minor)
	switch {
	case r.unusable():
		return ""
	case r.Count(Failed, attacks.Critical) > 0:
		return "F"
	case serious > 2:
		return "E"
	case serious > 0:
		return "D"
	case minor > 3:
		return "C"
	case minor > 0:
		return "B"
	}
	return "A"
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
