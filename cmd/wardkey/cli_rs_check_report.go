package main

import (
	"fmt"

	"github.com/wardkey/wardkey/internal/attacks"
	"github.com/wardkey/wardkey/internal/rscheck"
)

// reportOn prints what a service did, and returns an error if that is not good enough.
func reportOn(p *printer, r *rscheck.Report) error {
	var err error
	if p.json {
		err = p.value(r)
	} else {
		err = printReport(p, r)
	}
	switch {
	case err != nil:
		return err
	case r.Grade == "":
		return fmt.Errorf("rs-check: the service refuses a good token, so it cannot be graded: %s", clean(r.Results[0].Detail))
	case !r.Sound():
		return fmt.Errorf("rs-check: grade %s", r.Grade)
	}
	return nil
}

// printReport writes a line for each attack, what to do about each that failed, and the grade.
func printReport(p *printer, r *rscheck.Report) error {
	marks := map[rscheck.Outcome][2]string{
		rscheck.Passed: {"ok", green}, rscheck.Failed: {"FAILED", red}, rscheck.Noted: {"note", yellow}, rscheck.NotTested: {"--", dim},
	}
	rows := make([]row, len(r.Results))
	for i, result := range r.Results {
		rows[i] = row{
			cells: []string{marks[result.Outcome][0], result.Name, result.Sent, shorten(result.Detail, 100)},
			style: marks[result.Outcome][1],
		}
	}
	if err := p.aligned(rows); err != nil {
		return err
	}
	for _, g := range []attacks.Gravity{attacks.Critical, attacks.Serious, attacks.Minor, attacks.Note} {
		for _, result := range r.Results {
			if result.Gravity == g {
				if err := printFault(p, result); err != nil {
					return err
				}
			}
		}
	}
	return printGrade(p, r)
}

func printFault(p *printer, r rscheck.Result) error {
	style := red
	if r.Outcome == rscheck.Noted {
		style = yellow
	}
	return p.aligned([]row{
		{},
		{cells: []string{fmt.Sprintf("%s: %s", r.Gravity, r.Name)}, style: style},
		{cells: []string{"  sent", r.Sent}},
		{cells: []string{"  wanted", r.Wanted}},
		{cells: []string{"  came back", r.Detail}},
		{cells: []string{"  risk", r.Risk}},
		{cells: []string{"  fix", r.Fix}},
	})
}

func printGrade(p *printer, r *rscheck.Report) error {
	framework := "It does not show what it is built with; say --framework for lines that fit."
	if r.Framework != "" {
		framework = "Lines to fix are for " + r.Framework + "; if that is wrong, say --framework."
	}
	failed := func(g attacks.Gravity) string { return fmt.Sprintf("%d %s", r.Count(rscheck.Failed, g), g) }
	return p.say("\nGrade %s: %d passed, failed are %s, %s and %s, %d noted, %d not tested. %s",
		orElse(r.Grade, "none"), r.Count(rscheck.Passed, ""), failed(attacks.Critical), failed(attacks.Serious), failed(attacks.Minor),
		r.Count(rscheck.Noted, ""), r.Count(rscheck.NotTested, ""), framework)
}
