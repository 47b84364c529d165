package web

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// limitFields are the numbers of the plan enterprise in a form.
var limitFields = []string{"per_minute", "burst", "per_day"}

// planIn reads the plan of a form into a body; no plan is the server's default.
func planIn(form url.Values, body *adminclient.ClientCreate) error {
	if plan := form.Get("plan"); plan != "" {
		body.Plan = &plan
	}
	if form.Get("plan") != "enterprise" {
		return nil
	}
	body.Limits = &adminclient.LimitsIn{}
	for i, to := range []**int64{&body.Limits.PerMinute, &body.Limits.Burst, &body.Limits.PerDay} {
		text := form.Get(limitFields[i])
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*to = &n
	}
	return nil
}

// planValues are the plan of a key as a form has it.
func planValues(key adminclient.Client, values url.Values) {
	values.Set("plan", key.Plan)
	if key.Plan != "enterprise" {
		return
	}
	for i, n := range []*int64{key.Limits.PerMinute, key.Limits.Burst, key.Limits.PerDay} {
		if n != nil {
			values.Set(limitFields[i], strconv.FormatInt(*n, 10))
		}
	}
}

// patchPlan makes of the key the plan that was typed: a number that was taken out of the form is
// taken out of the plan.
func patchPlan(patch adminclient.Patch, body adminclient.ClientCreate) {
	patch["plan"] = body.Plan
	if l := body.Limits; l != nil {
		patch["limits"] = map[string]any{"per_minute": l.PerMinute, "burst": l.Burst, "per_day": l.PerDay}
	}
}

// planName says a plan and its numbers.
func planName(plan string, l adminclient.Limits) string {
	switch plan {
	case "none":
		return "none: no limit of its own"
	case "":
		return "as the server has it"
	}
	words := plan + ":"
	if l.PerMinute != nil {
		words += fmt.Sprintf(" %d a minute", *l.PerMinute)
		if l.Burst != nil {
			words += fmt.Sprintf(" (%d at once)", *l.Burst)
		}
	}
	if l.PerMinute != nil && l.PerDay != nil {
		words += ","
	}
	if l.PerDay != nil {
		words += fmt.Sprintf(" %d a day", *l.PerDay)
	}
	return words
}

// planNames are the plan of a key before and after what was typed.
func planNames(key adminclient.Client, body adminclient.ClientCreate) (before, after string) {
	plan := ""
	if body.Plan != nil {
		plan = *body.Plan
	}
	before = planName(key.Plan, key.Limits)
	switch plan {
	case "enterprise":
		return before, planName(plan, adminclient.Limits(*body.Limits))
	case key.Plan:
		return before, before
	}
	return before, plan
}
